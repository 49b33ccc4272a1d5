"""Sends many mails in one job: a bad one fails alone, and a batch that was killed goes on where it was."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.lowlevel
from qcollector.jobs.v1.email_pb2 import EmailBatchItemResult, EmailDelivery

from families.email.composer import Composer, Draft
from families.email.failures import MailDelayedError, MailServerAwayError, listed
from families.email.ledger import Ledger
from families.email.sender import MailSender
from families.email.transit import Transit
from workers.context import JobContext
from workers.outcomes import FailForGood, Snooze, plain_reason

RETRY_PAUSES: Final = (1.0, 3.0)
"""Seconds before each further try of a mail that was not taken, within its batch."""
AWAY_SECONDS: Final = 30.0
"""When a batch goes on that lost its mail server on the way."""
_UNINTERRUPTED: Final = 100
"""Results made in one go: the worker has other jobs as well."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch sends, and how."""

    total: int
    draft: Callable[[int], Draft]
    """The mail at a place. Raises FailForGood for one that cannot be sent."""
    recipient: Callable[[int], str]
    """Whom it is for, as its result says it."""
    size: int
    """Mails sent at once."""
    delay: float
    """Seconds between one group and the next."""
    span: tuple[float, float]
    """The job's progress with the first mail and after the last, in percent."""


class Batch:
    """One start of a batch job."""

    def __init__(self, job: JobContext, sender: MailSender, composer: Composer, plan: Plan) -> None:
        self._job = job
        self._sender = sender
        self._composer = composer
        self._plan = plan
        self._ledger = Ledger.unpack(job.checkpoint_data)
        self._identities: dict[int, str] = {}
        self._stop: MailServerAwayError | Snooze | None = None
        """Why no more mails are to be begun."""

    @property
    def elapsed(self) -> float:
        """Milliseconds, earlier starts included."""
        return self._ledger.elapsed

    async def run(self) -> list[EmailBatchItemResult]:
        """Sends all that is not done yet; a result for each mail, in order.

        Raises:
          MailServerAwayError: no mail can go out, and none did since the job was started.
          Snooze: no mail can go out for a while. Those that did are in the checkpoint.
        """
        todo = [place for place in range(self._plan.total) if place not in self._ledger.entries]
        if len(todo) < self._plan.total:
            await self._job.say(f"goes on with {len(todo)} of {self._plan.total} mails")
        for start in range(0, len(todo), self._plan.size):
            if start:
                await anyio.sleep(self._plan.delay)
            await self._send_group(todo[start : start + self._plan.size], fresh=start == 0)
        return await self._results()

    async def _send_group(self, places: Sequence[int], *, fresh: bool) -> None:
        before = len(self._ledger.entries)
        async with anyio.create_task_group() as group:
            for place in places:
                group.start_soon(self._send_one, place)
        await self._tell()
        # What is in flight now is all that a batch killed from here on repeats.
        await self._job.checkpoint(self._ledger.pack())
        if isinstance(self._stop, MailServerAwayError) and (not fresh or len(self._ledger.entries) > before):
            await self._job.say(f"the batch rests: {self._stop}")
            raise Snooze(AWAY_SECONDS, str(self._stop))
        if self._stop is not None:
            raise self._stop

    async def _send_one(self, place: int) -> None:
        try:
            mail = await self._composer.compose(self._plan.draft(place), self._job.job_id, str(place))
            self._identities[place] = mail.message_id
            transit = Transit(mail)
            await self._push(transit)
        except (MailServerAwayError, Snooze) as error:
            self._stop = error
        except MailDelayedError as error:
            self._ledger.record(place, sent=False, text=str(error))
        except FailForGood as error:
            self._ledger.record(place, sent=False, text=error.reason)
        except Exception as error:  # whatever is wrong with one mail must not take the others with it
            self._job.log.exception("mail_of_batch_failed", place=place)
            self._ledger.record(place, sent=False, text=plain_reason(error))
        else:
            partly = f"; refused: {listed(transit.refused)}" if transit.refused else ""
            self._ledger.record(place, sent=True, text=transit.response + partly)

    async def _push(self, transit: Transit) -> None:
        """Tries a few times. A mail that somebody got by then counts as sent: nobody is to get it twice."""
        for pause in (*RETRY_PAUSES, None):
            try:
                await transit.push(self._sender)
            except (MailDelayedError, Snooze) as error:
                if pause is not None and not isinstance(error, Snooze):
                    await anyio.sleep(pause)
                    continue
                if not transit.accepted:
                    raise
                transit.give_up()
            return

    async def _tell(self) -> None:
        done, sent, total = len(self._ledger.entries), self._ledger.sent, self._plan.total
        first, last = self._plan.span
        failed = f", {done - sent} failed" if done > sent else ""
        await self._job.progress(first + (last - first) * done / total, f"sent {sent} of {total}{failed}")

    async def _results(self) -> list[EmailBatchItemResult]:
        results = []
        for place in range(self._plan.total):
            results.append(self._result(place))
            if place % _UNINTERRUPTED == 0:
                await anyio.lowlevel.checkpoint()
        return results

    def _result(self, place: int) -> EmailBatchItemResult:
        entry = self._ledger.entries[place]
        recipient = self._plan.recipient(place)
        if not entry.sent:
            return EmailBatchItemResult(success=False, error=entry.text, recipient=recipient)
        identity = self._identities.get(place)
        if identity is None:  # sent before this start
            identity = self._composer.envelope(self._plan.draft(place)).message_id(self._job.job_id, str(place))
        delivery = EmailDelivery(success=True, message_id=identity, response=entry.text)
        return EmailBatchItemResult(success=True, result=delivery, recipient=recipient)


def succeeded(results: Iterable[EmailBatchItemResult]) -> int:
    """How many mails went out."""
    return sum(result.success for result in results)
