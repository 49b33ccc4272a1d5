"""How a handler steers what becomes of its job, other than by returning or by raising an ordinary error."""


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
