"""How a handler steers what becomes of its job, other than by returning or by raising an ordinary error."""

import os
from typing import Final

_BUGS: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, NotImplementedError, TypeError)
"""Errors of the program rather than of what it works on. Their texts mean something only beside a traceback."""


class HandlerOutcome(Exception):  # noqa: N818  (these are outcomes, not errors)
    """Base of the outcomes."""


class RetryAfter(HandlerOutcome):
    """This attempt failed; the next one begins after `seconds` instead of the job's backoff."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.reason = reason


class Snooze(HandlerOutcome):
    """Not now: again after `seconds`, without using up an attempt."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.reason = reason


class FailForGood(HandlerOutcome):
    """No further attempt can succeed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def plain_reason(error: BaseException) -> str:
    """Why a handler failed, for those who look at the job: what the error says, without the names of the program."""
    text = (_of_system(error) if isinstance(error, OSError) else str(error)).strip()
    if not text:
        return "the handler failed without a reason; the worker's log has the traceback"
    if isinstance(error, _BUGS):
        return f"the handler failed unexpectedly ({text}); the worker's log has the traceback"
    return text


def _of_system(error: OSError) -> str:
    """What an OSError says, without its errno: "/data/uploads/out: Read-only file system"."""
    if error.strerror is None:
        return str(error)
    if not isinstance(error.filename, str | bytes):
        return error.strerror
    return f"{os.fsdecode(error.filename)}: {error.strerror}"
