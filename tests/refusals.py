"""Commands with wrong input: one line on standard error, nothing on standard output, exit status 2."""

from semcom.cli.main import main


def refused(capsys, *arguments):
    """Run a command that must be refused, and return its error message."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("semcom: ")
    return line
