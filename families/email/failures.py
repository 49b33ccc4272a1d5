"""How a mail fails: whether trying again can help decides what becomes of its job."""

from typing import Final

from workers.outcomes import FailForGood

_MAX_NAMED: Final = 5


class MailDelayedError(Exception):
    """The mail did not go out now, and may later: the job tries again."""


class MailServerAwayError(MailDelayedError):
    """No mail can go out now: the server cannot be reached, or does not let us in."""


class MailRefusedError(FailForGood):
    """The server will not take this mail, now or later."""


class MailInvalidError(FailForGood):
    """The mail cannot be made from what the job holds."""


def listed(reasons: dict[str, str]) -> str:
    """Refusals by recipient in one line, the first few of them."""
    shown = [f"{recipient} ({reason})" for recipient, reason in list(reasons.items())[:_MAX_NAMED]]
    more = len(reasons) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
