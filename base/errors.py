"""What whoever typed a command can mend."""


class StartError(Exception):
    """Something keeps a command from running. The message is cause and remedy, in plain words."""
