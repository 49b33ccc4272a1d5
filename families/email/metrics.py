"""What a worker measures of its dealings with the mail server."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from base.telemetry.instruments import Instruments
from base.telemetry.tallies import Counts, Durations
from families.email.failures import MailDelayedError, MailRefusedError, MailServerAwayError
from workers.outcomes import Snooze

ACCEPTED, REFUSED, DEFERRED = "accepted", "refused", "deferred"
SERVER_AWAY: Final = "server_away"
THROTTLED: Final = "throttled"
BROKEN: Final = "broken"
"""Ended by something else, such as the job's own end."""

_OUTCOMES: Final = (ACCEPTED, REFUSED, DEFERRED, SERVER_AWAY, THROTTLED, BROKEN)


class MailMetrics:
    """Mails, recipients and connections of one worker process."""

    def __init__(self) -> None:
        self.mails = Counts(
            "qjobs_smtp_mails",
            "Mails handed to the mail server, by outcome; accepted means for one recipient at least.",
            ("outcome",),
            [(outcome,) for outcome in _OUTCOMES],
        )
        self.recipients = Counts(
            "qjobs_smtp_recipients",
            "Recipients named to the mail server, by its answer.",
            ("outcome",),
            [(outcome,) for outcome in (ACCEPTED, REFUSED, DEFERRED)],
        )
        self.conversations = Durations(
            "qjobs_smtp_conversation_duration_seconds",
            "From the first word about a mail to the server's answer, the wait for a connection included.",
            ("outcome",),
        )
        self.opened = Counts(
            "qjobs_smtp_connections_opened",
            "Connections that were opened to the mail server, or could not be.",
            ("result",),
            [("opened",), ("failed",)],
        )

    @contextmanager
    def conversation(self) -> Iterator["Conversation"]:
        """Counts and times the handing over of one mail, however it ends."""
        began = time.perf_counter()
        conversation = Conversation(self.recipients)
        try:
            yield conversation
        except BaseException as error:
            conversation.outcome = _outcome(error)
            raise
        finally:
            self.conversations.of(conversation.outcome).observe(time.perf_counter() - began)
            self.mails.add((conversation.outcome,))

    def expose(self, instruments: Instruments) -> None:
        instruments.add(self.mails, self.recipients, self.conversations, self.opened)


class Conversation:
    """One mail on its way."""

    def __init__(self, recipients: Counts) -> None:
        self.outcome = BROKEN
        self._recipients = recipients

    def ended(self, *, accepted: int, refused: int, deferred: int) -> None:
        """The server has spoken about each recipient."""
        for outcome, number in ((ACCEPTED, accepted), (REFUSED, refused), (DEFERRED, deferred)):
            self._recipients.add((outcome,), number)
        self.outcome = ACCEPTED if accepted else DEFERRED if deferred else REFUSED


def _outcome(error: BaseException) -> str:
    match error:
        case MailServerAwayError():
            return SERVER_AWAY
        case MailDelayedError():
            return DEFERRED
        case MailRefusedError():
            return REFUSED
        case Snooze():
            return THROTTLED
        case _:
            return BROKEN
