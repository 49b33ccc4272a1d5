"""What a command ends with: the exit statuses, which scripts may rely on."""

from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """Documented in every command's help and in docs/cli.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVALID = 3
    NOT_FOUND = 4
    DENIED = 5
    UNAVAILABLE = 6
    CONFLICT = 7
    INTERNAL = 8
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS: Final = {
    Exit.OK: "done",
    Exit.FAILED: "a job failed or was cancelled, a part of a bulk action was refused, or health is unhealthy",
    Exit.USAGE: "the command line or a setting is wrong, or a file cannot be read or written",
    Exit.INVALID: "the service refuses what was sent; the fields are named",
    Exit.NOT_FOUND: "no such queue, job, schedule or result",
    Exit.DENIED: "no token, an expired one, or a role that may not do it",
    Exit.UNAVAILABLE: "the service or its store cannot be reached, is full, or asks to come back later",
    Exit.CONFLICT: "the state does not admit it, it was changed meanwhile, or the id, name or file is there already",
    Exit.INTERNAL: "a fault of the service, or an answer that is not what was promised",
    Exit.INTERRUPTED: "interrupted, or not confirmed",
    Exit.BROKEN_PIPE: "nobody reads the output any more",
}


class CommandError(Exception):
    """What keeps a command from its end. The message is one line: cause and remedy."""

    def __init__(self, message: str, status: Exit) -> None:
        super().__init__(message)
        self.status = status
