"""The one exception that a user is meant to read."""


class UsageError(ValueError):
    """Wrong input; the message is one line that names the fix (the command line prints it and exits with 2)."""
