"""Moves the jobs of one queue between the store and this worker: one call settles what ended and claims what fits."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from base.cancelling import cancel
from contract.errors import JobServiceError, StoreFullError, StoreUnavailableError
from engine.claims import Claims, settled_at_once
from engine.jobs import ClaimedJob, Loss, Settlement
from engine.store import backoff_sleep
from workers import settlements
from workers.running import NOT_OURS, BreakOff, RunningJob

MAX_ROWS: Final = 200
"""Jobs settled or claimed in one call: a script holds up everybody else's."""
LOOK_SECONDS: Final = 4.0
"""How long an idle worker waits for the queue's marker before it looks for itself."""
AFTER_FAILURE_SECONDS: Final = 0.2
SLICE: Final = 8
"""So many claimed jobs or more are started in two parts."""

Start = Callable[["Pump", ClaimedJob], RunningJob]
Ended = tuple[RunningJob, Settlement | Loss]
"""A job whose task has ended, and the settlement that the store took, or why it was no longer this worker's."""
Record = Callable[[Sequence[Ended]], None]
"""Told of all jobs that ended, as many at once as one call settled."""

_log = structlog.get_logger(__name__)


class Pump:
    """One queue's slots. At most one call is under way, and it is never cancelled: its answer may hold leased jobs."""

    def __init__(self, claims: Claims, concurrency: int, start: Start, record: Record) -> None:
        self.queue = claims.queue
        self.concurrency = concurrency
        self.running: dict[str, RunningJob] = {}
        """By id, until the store has taken their settlement. The heartbeat's thread reads it."""
        self.slots: set[RunningJob] = set()
        """Those whose tasks have not ended. One that was lost and came back is in it twice."""
        self._claims = claims
        self._start = start
        self._record = record
        self._ended: list[tuple[RunningJob, Settlement]] = []
        self._wake = asyncio.Event()
        self._looking = True
        """Whether there may be jobs to claim, as far as is known."""
        self._closing = False
        self._failures = 0
        self._watcher: asyncio.Task[None] | None = None
        self._due: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Returns once `close` was called and every job has ended and is settled."""
        claimed: tuple[ClaimedJob, ...] = ()
        while claimed or self.slots or self._ended or not self._closing:
            free = self._free(len(claimed))
            if self._ended or (free and self._looking):
                call = asyncio.create_task(self._exchange(free))
                # The call leaves first: the store works on it while this process works on the jobs.
                await asyncio.sleep(0)
                self._begin(claimed)
                claimed = await call
            elif claimed:
                # Half of a large claim gets a turn ahead. Quick jobs of it have ended then, and are settled while the
                # rest runs; from then on store and process work at the same time.
                ahead = len(claimed) // 2 if len(claimed) >= SLICE else len(claimed)
                self._begin(claimed[:ahead])
                claimed = claimed[ahead:]
                await asyncio.sleep(0)
            else:
                if free and self._watcher is None:
                    self._watcher = asyncio.create_task(self._watch())
                await self._wake.wait()
            self._wake.clear()

    async def close(self) -> None:
        """Claims nothing more from now on."""
        self._closing = True
        self._wake.set()
        if self._due is not None:
            self._due.cancel()
        if (watcher := self._watcher) is not None:
            await cancel(watcher)
            # The wait may have taken the marker just then: another worker must not miss it.
            await self._hand_on()

    def look(self) -> None:
        """Something may be there to claim."""
        self._looking = True
        self._wake.set()

    def lost(self, job_id: str, fence: int, why: Loss) -> None:
        """The store says that this start of the job is no longer this worker's."""
        job = self.running.get(job_id)
        if job is not None and job.claimed.fence == fence and not job.ended:
            job.break_off(BreakOff(why))

    def end(self, job: RunningJob, settlement: Settlement | None) -> None:
        """Its task has ended: the slot is free. Without a settlement there is nothing to report."""
        if job not in self.slots:  # abandoned
            return
        self.slots.discard(job)
        job.ended = time.monotonic()
        if settlement is None or job.broken_off in NOT_OURS:
            self._forget(job)
            self._record([(job, job.loss)])
        else:
            self._ended.append((job, settlement))
        self._wake.set()

    def break_off_all(self) -> None:
        """Makes all jobs end and go back to the queue, because the worker ends."""
        for job in self.slots:
            job.break_off(BreakOff.SHUTDOWN)

    def abandon_all(self) -> int:
        """Hands back the jobs that do not end even so, such as those in a thread: the process is about to."""
        jobs = list(self.slots)
        for job in jobs:
            self.end(job, settlements.handed_back(job))
        return len(jobs)

    def _free(self, claimed: int = 0) -> int:
        return 0 if self._closing else min(max(self.concurrency - len(self.slots) - claimed, 0), MAX_ROWS)

    async def _exchange(self, free: int) -> tuple[ClaimedJob, ...]:
        """One call: settles what has ended, and answers the jobs that it claimed."""
        ended = self._take()
        settled = [settlement for _, settlement in ended]
        # Before the call: who says `look` while it is under way may know more than its answer.
        self._looking = False
        try:
            claim = await self._claims.settle(settled, free)
        except (StoreUnavailableError, StoreFullError) as error:
            self._ended[:0] = ended
            self._looking = True
            await self._wait_for_store(error)
            return ()
        if self._failures:
            _log.info("store_back", queue=self.queue, failures=self._failures)
            self._failures = 0
        if len(claim.jobs) >= free:
            self._looking = True
        self._note_due(claim.due_in)
        for job, _ in ended:
            self._forget(job)
        if ended:
            self._record([(job, claim.lost.get(job.claimed.id, settlement)) for job, settlement in ended])
        return claim.jobs

    def _take(self) -> list[tuple[RunningJob, Settlement]]:
        """What ended since the last call, as much as one call should carry."""
        count = settled_at_once([settlement for _, settlement in self._ended[:MAX_ROWS]], MAX_ROWS)
        taken, self._ended = self._ended[:count], self._ended[count:]
        return taken

    def _forget(self, job: RunningJob) -> None:
        if self.running.get(job.claimed.id) is job:
            del self.running[job.claimed.id]

    def _begin(self, claimed: tuple[ClaimedJob, ...]) -> None:
        for each in claimed:
            self._begin_one(each)

    def _begin_one(self, claimed: ClaimedJob) -> None:
        before = self.running.get(claimed.id)
        if before is not None and not before.ended:
            # Its lease ran out and it came back here before the heartbeat heard of it.
            before.break_off(BreakOff.LOST)
        job = self._start(self, claimed)
        self.running[claimed.id] = job
        self.slots.add(job)
        if self._closing:
            job.break_off(BreakOff.SHUTDOWN)

    def _note_due(self, due_in: int) -> None:
        """Looks again when the next delayed job is due."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if due_in and not self._closing:
            self._due = asyncio.get_running_loop().call_later(due_in / 1000 + 0.001, self.look)

    async def _watch(self) -> None:
        """Waits until the queue's marker says that there is work, on a connection of its own."""
        try:
            found = await self._claims.wait_for_work(LOOK_SECONDS)
        except (StoreUnavailableError, StoreFullError):
            await asyncio.sleep(AFTER_FAILURE_SECONDS)
            found = False
        self._watcher = None
        if found and not self._free():
            await self._hand_on()
        self.look()

    async def _hand_on(self) -> None:
        """Gives the marker back, so that another idle worker wakes."""
        try:
            await self._claims.hand_on_wakeup()
        except JobServiceError as error:
            # The store is away: its workers look by themselves when it is back.
            _log.debug("marker_not_handed_on", queue=self.queue, reason=error.message)

    async def _wait_for_store(self, error: JobServiceError) -> None:
        if self._failures == 0:
            _log.warning("store_away", queue=self.queue, reason=error.message, unsettled=len(self._ended))
        self._failures += 1
        await backoff_sleep(self._failures)
