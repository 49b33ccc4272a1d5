"""Reads jobs and queues: single jobs, pages of them, statistics, logs. Changes nothing."""

from collections.abc import Sequence
from typing import Final

from engine.jobs import JobPage, JobQuery, JobRecord, LogLine, Quantiles, QueueSnapshot, State
from engine.packing import pack, unpack
from engine.pages import BY_STATE, CREATED, CREATED_DESC, Pages
from engine.records import read_record, read_state
from engine.schema import LogEntry, WholeJob, rows_of
from engine.statistics import read_run_times, read_snapshot
from engine.store import Store

_GET_BYTES: Final = 1_000_000
_GET_JOBS: Final = 200
"""Bounds of what one script call reads, as it blocks the store while it runs; a single job may be larger."""

__all__ = ["BY_STATE", "CREATED", "CREATED_DESC", "Inspection"]


class Inspection:
    """Looks into queues. `default_limits` are the contract's most active jobs for each queue."""

    def __init__(self, store: Store, default_limits: dict[str, int]) -> None:
        self._store = store
        self._default_limits = default_limits
        self._pages = Pages(store)

    def default_max_active(self, queue: str) -> int:
        """The contract's most active jobs of a queue; 0 where it sets no limit."""
        return self._default_limits.get(queue, 0)

    async def get(self, queue: str, job_id: str) -> JobRecord | None:
        return (await self.get_many(queue, [job_id]))[0]

    async def get_many(self, queue: str, names: Sequence[str]) -> list[JobRecord | None]:
        """The jobs of these ids, None for those that do not exist. Large jobs are read in several steps."""
        records: list[JobRecord | None] = []
        while len(records) < len(names):
            records += (await self._get(queue, names[len(records) : len(records) + _GET_JOBS]))[0]
        return records

    async def snapshot(self, queue: str, job_id: str) -> tuple[JobRecord | None, str]:
        """The job, and the id of the queue's last event at that very instant."""
        (record,), last = await self._get(queue, [job_id])
        return record, last

    async def state(self, queue: str, job_id: str) -> State | None:
        """Where the job stands, None if there is no such job: of a job it reads the least that there is."""
        kept = await self._store.call("HGET", self._store.keys(queue)["states"], job_id)
        return read_state(kept) if kept else None

    async def _get(self, queue: str, names: Sequence[str]) -> tuple[list[JobRecord | None], str]:
        """As many of them, from the first on, as one call reads."""
        last, *pieces = await self._store.run("get", queue, pack(list(names)), _GET_BYTES)
        # There may be fewer jobs than names.
        records = [read_record(job_id, job) for job_id, job in zip(names, rows_of(WholeJob, pieces), strict=False)]
        return records, last.decode()

    async def page(
        self, queue: str | Sequence[str], query: JobQuery, order: str = "", size: int = 50, token: str = ""
    ) -> JobPage:
        """A page of the jobs that match, of one queue or of several in one order.

        `order` is CREATED, CREATED_DESC (also if empty) or BY_STATE; jobs created at one moment come in the order of their
        ids. Every job that matches throughout a walk is on exactly one of its pages. What states, owner and times ask for is
        found by an index; for types and texts a bounded number of jobs is looked at, so that a page may be short, or empty,
        with more to come.

        Raises:
          RequestInvalidError: the token is not one of this query's, or the order wants a single queue and state.
          StoreUnavailableError: the store is away.
        """
        queues = (queue,) if isinstance(queue, str) else tuple(queue)
        return await self._pages.page(queues, query, order, size, token)

    async def stats(self, queues: Sequence[str]) -> list[QueueSnapshot]:
        """Each queue at one instant; counts are exact. Constant time, whatever the queues hold."""
        answers = await self._store.run_on_each("stats", queues)
        return [
            read_snapshot(queue, answer, self._default_limits.get(queue, 0))
            for queue, answer in zip(queues, answers, strict=True)
        ]

    async def run_times(self, queues: Sequence[str]) -> Quantiles:
        """How long attempts ran in all of these queues together, over the last five minutes."""
        return read_run_times(await self._store.run_on_each("stats", queues))

    async def logs(self, queue: str, job_id: str) -> tuple[list[LogLine], int] | None:
        """The latest log lines, oldest first, and how many were written in all; None if there is no such job."""
        total, *lines = await self._store.run("logs", queue, job_id)
        if total < 0:
            return None
        entries = (LogEntry(*unpack(line)) for line in lines)
        return [LogLine(int(entry.time), entry.message) for entry in entries], total
