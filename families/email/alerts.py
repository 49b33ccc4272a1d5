"""Tells ALERT_EMAIL of failures that somebody must hear of, at most once for each cause and window."""

import asyncio
import contextlib
import hashlib
import re
import time
from typing import Final

import structlog
from qcollector.jobs.v1.email_pb2 import EmailSend
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions

from contract.admission import Origin
from contract.errors import JobIdConflictError, JobServiceError
from engine.inspection import BY_STATE
from engine.jobs import Cause, JobQuery, JobRecord, State
from families.email.settings import EmailSettings
from workers.duties import SchedulerContext

LOOK_SECONDS: Final = 10.0
SYSTEM: Final = Caller(id="system", name="Alerts", role="super_admin")

_SCOPE: Final = "alerts"
_PAGE: Final = 100
MOST_FAILED: Final = 2000
"""Failures of one queue that are looked at between two looks; of more, the latest."""
_FAILED: Final = JobQuery(states=frozenset({State.FAILED}))
_ANYWHERE: Final = frozenset({Cause.STALLED, Cause.UNKNOWN_TYPE})
"""What is wrong with the workers, whatever the type."""
_DIGITS: Final = re.compile(r"[0-9a-f]{8,}|\d+")

_log = structlog.get_logger(__name__)


class Alerts:
    """Looks through what failed since it looked last, which the store remembers."""

    def __init__(self, context: SchedulerContext) -> None:
        self._store = context.store
        self._seen = context.store.keys(_SCOPE)["seen"]
        self._catalog = context.catalog
        self._settings = EmailSettings.of(context.settings)
        self._inspection = context.inspection
        self._admission, self._intake = context.admission, context.intake

    async def tell(self) -> list[str]:
        """Enqueues a mail for each new cause; the ids of those mails.

        Raises:
          JobServiceError: the store is away or full; what was not told is told the next time.
        """
        told = []
        for queue in self._catalog.queues:
            failed = await self._failed_since(queue, await self._last_seen(queue))
            critical = [record for record in reversed(failed) if self._is_critical(record)]
            told += [mail for record in critical if (mail := await self._mail(record))]
            if failed:
                await self._remember(queue, failed[0].finished)
        return told

    async def _failed_since(self, queue: str, since: int) -> list[JobRecord]:
        """Latest first, and no more than MOST_FAILED, so that a flood of failures is not read whole."""
        found: list[JobRecord] = []
        token = ""
        while len(found) < MOST_FAILED:
            page = await self._inspection.page(queue, _FAILED, BY_STATE, _PAGE, token)
            fresh = [record for record in page.jobs if record.finished > since]
            found += fresh
            token = page.next_token
            if not token or len(fresh) < len(page.jobs):
                break
        return found

    def _is_critical(self, record: JobRecord) -> bool:
        job_type = self._catalog.types.get(f"{record.envelope.queue_name}/{record.envelope.job_type}")
        own = record.envelope.created_by.id == SYSTEM.id and record.id.startswith("alert-")
        return not own and (record.cause in _ANYWHERE or (job_type is not None and job_type.critical))

    async def _mail(self, record: JobRecord) -> str | None:
        """One mail for a cause and window: its id says which, so that a second one is a duplicate."""
        envelope = record.envelope
        key = f"{envelope.queue_name}/{envelope.job_type}"
        cause = hashlib.sha256(f"{key} {_DIGITS.sub('#', record.failed_reason)}".encode()).hexdigest()[:16]
        window = int(time.time() / 60 // self._settings.alert_window_minutes)
        payload = EmailSend(
            to=[self._settings.alert_email or ""],
            subject=f"Job failed: {key}",
            text=(
                f"A job of {key} has failed for good.\n\nJob:    {record.id}\nReason: {record.failed_reason}\n"
                f"Worker: {record.worker}\n\nFurther failures of this cause are not told within the next "
                f"{self._settings.alert_window_minutes:g} minutes. It lies among the dead letters: inspect it with "
                f"GET /api/v1/queue/{envelope.queue_name}/jobs/{record.id}, run it again with POST …/retry.\n"
            ),
        )
        options = JobOptions(job_id=f"alert-{cause}-{window}", priority=9)
        admitted = self._admission.admit_payload(payload, options, Origin(SYSTEM))
        with contextlib.suppress(JobIdConflictError):  # told of another job of this cause
            if not (await self._intake.enqueue(admitted.job)).duplicate:
                return admitted.job.id
        return None

    async def _last_seen(self, queue: str) -> int:
        return int(await self._store.call("HGET", self._seen, queue) or 0)

    async def _remember(self, queue: str, finished: int) -> None:
        await self._store.call("HSET", self._seen, queue, finished)


async def tell_alerts(context: SchedulerContext, stopping: asyncio.Event) -> None:
    """Tells until the event is set; nothing without ALERT_EMAIL."""
    if not EmailSettings.of(context.settings).alert_email:
        return
    alerts = Alerts(context)
    while not stopping.is_set():
        try:
            if told := await alerts.tell():
                _log.warning("alerts_sent", mails=told)
        except JobServiceError as error:
            _log.debug("alerts_wait", reason=error.message)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)
