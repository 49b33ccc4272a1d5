"""What keeps a stack from starting."""

from base.errors import StartError


class StackError(StartError):
    """A process of it, or something that it needs, is not to be had."""
