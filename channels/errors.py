"""The exception for wrong input."""


class UsageError(ValueError):
    """Wrong input. The message is one line that says what to write instead; the command line exits with status 2."""
