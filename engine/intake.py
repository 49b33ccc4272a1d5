"""Puts jobs into the store. Concurrent calls for one queue share a round trip."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from base.settings import Settings
from base.telemetry.tallies import Counts
from contract.errors import (
    BacklogFullError,
    JobIdConflictError,
    JobServiceError,
    RequestIdConflictError,
    StoreFullError,
    StoreUnavailableError,
)
from contract.new_job import NewJob
from engine.jobs import Enqueued, State
from engine.packing import pack
from engine.schema import EnqueueAnswer, EnqueueRow, Verdict, rows_of
from engine.store import Store
from engine.turns import STANDSTILL_SECONDS

BATCH_ROWS: Final = 200
BATCH_BYTES: Final = 1_000_000
"""Bounds of one script call, which blocks the store while it runs."""

GATHER_SECONDS: Final = 0.01
"""How long a job waits for others, where others are expected."""

_STATES: Final = {state.value.encode(): state for state in State}


def _row(job: NewJob) -> EnqueueRow:
    return EnqueueRow(
        id=job.id,
        envelope=job.envelope,
        secret=job.secret,
        type=job.type,
        owner=job.owner,
        priority=job.priority,
        delay=job.delay,
        run_at=job.run_at,
        expire_at=job.expire_at,
        attempts=job.attempts,
        exponential=int(job.exponential),
        backoff=job.backoff,
        jitter=job.jitter,
        keep=job.retention,
        digest=job.digest,
        request=job.request,
        request_digest=job.request_digest,
    )


class _Parcel:
    """Jobs of one caller, who is answered once all of them are."""

    __slots__ = ("_size", "answered", "outcomes")

    def __init__(self, size: int) -> None:
        self.outcomes: list[Enqueued | JobServiceError] = []
        """In the order of the jobs, which is also the order in which they leave."""
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._size = size

    def put(self, outcome: Enqueued | JobServiceError) -> None:
        self.outcomes.append(outcome)
        if len(self.outcomes) == self._size and not self.answered.done():  # its caller may have left
            self.answered.set_result(None)

    def fail(self, error: BaseException) -> None:
        if not self.answered.done():
            self.answered.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())


class _QueueIntake:
    """The jobs of one queue on their way: while a call is under way the next ones gather, and leave together.

    Where single jobs have lately come together, the first of the next ones waits a moment for as many as then: a round trip
    costs the service as much as everything else that it does for a job. A caller that is alone never waits.
    """

    def __init__(self, store: Store, queue: str, max_backlog: int, stored: Counts) -> None:
        self._store = store
        self._queue = queue
        self._max_backlog = max_backlog
        self._stored = stored
        self._gathered: list[tuple[NewJob, _Parcel]] = []
        self._sender: asyncio.Task[None] | None = None
        self._under_way = 0
        self._expected = 1
        """Single jobs that are likely to come together."""
        self._enough = asyncio.Event()

    def add(self, job: NewJob) -> _Parcel:
        """Takes one job of a caller that waits for it."""
        parcel = self._take((job,))
        together = self._under_way + len(self._gathered)
        self._expected = min(max(self._expected, together), BATCH_ROWS)
        if len(self._gathered) >= self._expected:
            self._enough.set()
        return parcel

    def add_many(self, jobs: Sequence[NewJob]) -> _Parcel:
        """Takes all jobs of a caller that waits for them: nothing is gained by waiting for others."""
        parcel = self._take(jobs)
        self._enough.set()
        return parcel

    def _take(self, jobs: Sequence[NewJob]) -> _Parcel:
        parcel = _Parcel(len(jobs))
        self._gathered += [(job, parcel) for job in jobs]
        if self._sender is None:
            self._enough.clear()
            self._sender = asyncio.create_task(self._send())
        return parcel

    async def _gather(self) -> None:
        """Waits until as many jobs are there as are expected; when they do not come, fewer are expected from then on."""
        if len(self._gathered) >= self._expected or self._enough.is_set():
            return
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                await self._enough.wait()
        except TimeoutError:
            self._expected = len(self._gathered)

    def _next_batch(self) -> list[tuple[NewJob, _Parcel]]:
        size = rows = 0
        for job, _ in self._gathered:
            size += len(job.envelope) + len(job.secret)
            if rows == BATCH_ROWS or (rows and size > BATCH_BYTES):
                break
            rows += 1
        batch, self._gathered = self._gathered[:rows], self._gathered[rows:]
        return batch

    async def _send(self) -> None:
        batch: list[tuple[NewJob, _Parcel]] = []
        try:
            while self._gathered:
                await self._gather()
                self._enough.clear()
                batch = self._next_batch()
                self._under_way = len(batch)
                began = time.monotonic()
                outcomes = await self._store_rows([job for job, _ in batch])
                for (_, parcel), outcome in zip(batch, outcomes, strict=True):
                    parcel.put(outcome)
                if isinstance(outcomes[0], StoreUnavailableError) and time.monotonic() - began > STANDSTILL_SECONDS:
                    self._refuse(outcomes[0])
        except BaseException as error:
            # Whoever waits must hear of it, whatever it was.
            for _, parcel in [*batch, *self._gathered]:
                parcel.fail(error)
            self._gathered = []
            if not isinstance(error, Exception):
                raise
        finally:
            self._under_way = 0
            self._sender = None

    def _refuse(self, error: JobServiceError) -> None:
        """Fails all jobs that gathered while the store stood still: batch after batch, each would wait as long again."""
        gathered, self._gathered = self._gathered, []
        for _, parcel in gathered:
            parcel.put(error)

    async def _store_rows(self, jobs: list[NewJob]) -> Sequence[Enqueued | JobServiceError]:
        rows = pack([_row(job) for job in jobs])
        began = time.monotonic()
        try:
            answer = await self._store.run("enqueue", self._queue, rows, self._max_backlog)
        except StoreUnavailableError as error:
            if time.monotonic() - began > STANDSTILL_SECONDS:
                return [error] * len(jobs)
            # The answer may have been lost on its way: try once more under the same ids. A row that is there is ours.
            try:
                answer = await self._store.run("enqueue", self._queue, rows, self._max_backlog)
            except JobServiceError as error:
                return [error] * len(jobs)
        except StoreFullError as error:
            return [error] * len(jobs)
        return [self._outcome(job, row) for job, row in zip(jobs, rows_of(EnqueueAnswer, answer), strict=True)]

    def _outcome(self, job: NewJob, answer: EnqueueAnswer) -> Enqueued | JobServiceError:
        verdict = answer.verdict
        if verdict in (Verdict.STORED, Verdict.KNOWN):
            found = answer.id.decode() if answer.id else job.id
            # A made id that is there already was stored by this very call, whose first answer was lost.
            duplicate = verdict == Verdict.KNOWN and (bool(job.digest) or found != job.id)
            self._stored.add((self._queue, job.type, "duplicate" if duplicate else "stored"))
            return Enqueued(found, _STATES.get(answer.state), int(answer.created), duplicate)
        if verdict == Verdict.ID_TAKEN:
            return JobIdConflictError(
                f"The job id {job.id!r} was used in {self._queue} for another payload or by another caller. "
                "Choose an id that names this job alone.",
                queue=self._queue,
                job=job.id,
            )
        if verdict == Verdict.REQUEST_TAKEN:
            return RequestIdConflictError(
                f"The request id was used in {self._queue} within the last hour for another request of yours. Repeat a "
                "request as it was, and give each new one an id of its own, such as a random UUID.",
                queue=self._queue,
            )
        return BacklogFullError(
            f"{self._queue} holds {self._max_backlog} unfinished jobs, which is its limit (QUEUE_MAX_BACKLOG). "
            "Try again when its workers have caught up.",
            retry_after=10,
            queue=self._queue,
            limit=self._max_backlog,
        )


class Intake:
    """Enqueues jobs of all queues."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._max_backlog = settings.queue_max_backlog
        self._queues: dict[str, _QueueIntake] = {}
        self.stored = Counts(
            "qjobs_jobs_enqueued",
            "Jobs that this process enqueued; a duplicate was there already under its id.",
            ("queue", "type", "result"),
        )

    def _of(self, queue: str) -> _QueueIntake:
        found = self._queues.get(queue)
        if found is None:
            found = self._queues[queue] = _QueueIntake(self._store, queue, self._max_backlog, self.stored)
        return found

    async def enqueue(self, job: NewJob) -> Enqueued:
        """Stores one job; when this returns, it is stored.

        Raises:
          JobIdConflictError: the id was used for something else.
          RequestIdConflictError: the request id was, within the last hour.
          BacklogFullError: the queue holds as many unfinished jobs as it may.
          StoreFullError: the store's memory is full.
          StoreUnavailableError: the store is away. If the connection broke midway, the job may be there all the same.
        """
        parcel = self._of(job.queue).add(job)
        await parcel.answered
        (outcome,) = parcel.outcomes
        if isinstance(outcome, JobServiceError):
            raise outcome
        return outcome

    async def enqueue_many(self, jobs: Sequence[NewJob]) -> list[Enqueued | JobServiceError]:
        """Stores many jobs; each answers for itself, in order."""
        by_queue: dict[str, list[NewJob]] = {}
        for job in jobs:
            by_queue.setdefault(job.queue, []).append(job)
        parcels = {queue: self._of(queue).add_many(some) for queue, some in by_queue.items()}
        await asyncio.gather(*(parcel.answered for parcel in parcels.values()))
        answers = {queue: iter(parcel.outcomes) for queue, parcel in parcels.items()}
        return [next(answers[job.queue]) for job in jobs]
