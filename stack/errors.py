"""What keeps a stack from starting."""


class StackError(Exception):
    """The message is for whoever typed the command: cause and remedy."""
