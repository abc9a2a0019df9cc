"""Exceptions for wrong input, and for systems and channels that break the rules of the link."""


class UsageError(ValueError):
    """Wrong input. The message is one line that says what to write instead; the command line exits with status 2."""


class ContractError(ValueError):
    """A system or channel breaks a rule of the link. The message is one line; the command line exits with status 1."""
