"""Whose turn it is: of one caller's exports, EXPORT_MAX_PER_USER run at once, over all workers."""

from collections.abc import AsyncIterator
from typing import Any, Final

from base.settings import Settings
from engine.inspection import Inspection
from engine.jobs import JobQuery, JobRecord, State
from workers.context import JobContext
from workers.handlers import provides
from workers.outcomes import Snooze

AGAIN_SECONDS: Final = 3.0
_PAGE: Final = 1000


class ExportTurns:
    """Lets an export run unless too many of its caller's began before it.

    Each sees all that began before itself, since the store gives jobs out one after the other: so no two that wait for
    the same turn can both take it, and there is nothing to give back when a worker dies.
    """

    def __init__(self, inspection: Inspection, limit: int) -> None:
        self._inspection = inspection
        self._limit = limit

    async def take(self, job: JobContext) -> None:
        """Returns once the job may go on.

        Raises:
          Snooze: it is not its turn yet.
        """
        running = await self._running(job)
        own = next((record for record in running if record.id == job.job_id), None)
        if own is None:
            return  # it is no longer this worker's, which the next thing that it says will tell
        before = sum(_order(record) < _order(own) for record in running)
        if before >= self._limit:
            raise Snooze(
                AGAIN_SECONDS, f"{before} exports of this caller run already; EXPORT_MAX_PER_USER is {self._limit}"
            )

    async def _running(self, job: JobContext) -> list[JobRecord]:
        query = JobQuery(states=frozenset({State.ACTIVE}), owner=job.caller.id)
        running: list[JobRecord] = []
        token = ""
        while True:
            page = await self._inspection.page(job.queue, query, size=_PAGE, token=token)
            running += page.jobs
            if not page.next_token:
                return running
            token = page.next_token


def _order(record: JobRecord) -> tuple[int, str]:
    return record.started, record.id


@provides(ExportTurns)
async def export_turns(settings: Settings, store: Any) -> AsyncIterator[ExportTurns]:
    yield ExportTurns(Inspection(store, {}), settings.export_max_per_user)
