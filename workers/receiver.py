"""Runs jobs: the way of one start from its bytes to its settlement.

It stands in for taskiq's Receiver, whose prefetcher, runner and acknowledgements know neither leases nor queues: here each
queue has a pump.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import structlog
from google.protobuf.message import DecodeError, Message
from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope

from base.settings import Settings
from contract.catalog import JobType
from engine.claims import Claims
from engine.jobs import ClaimedJob, Settlement
from workers import job_spans, settlements
from workers.broker import JobBroker
from workers.calls import Calls
from workers.joblog import JobLog
from workers.metrics import JobMetrics
from workers.notes import Notes
from workers.outcomes import HandlerOutcome
from workers.pump import Ended, Pump
from workers.running import NOT_OURS, BreakOff, RunningJob

HAND_BACK_SECONDS: Final = 2.0
"""What jobs that are broken off by a shutdown have to end in, and what the last call to the store has after that."""
TICK_SECONDS: Final = 0.05
"""How exactly jobs are held to their time."""

_NO_ANSWER: Final = object()

_log = structlog.get_logger(__name__)


class JobReceiver:
    """One worker's slots. `listen` works until its event is set, then drains."""

    def __init__(
        self, broker: JobBroker, claims: Sequence[Claims], concurrency: Mapping[str, int], settings: Settings
    ) -> None:
        """Raises CatalogError where a handler needs what nothing gives it."""
        self.draining = False
        self.abandoned = 0
        """Jobs that were handed back although their tasks had not ended."""
        # anyio looks for its backend whenever it makes a scope; a loop has only one.
        self._new_scope = type(anyio.CancelScope())
        self._types = broker.catalog.types
        self._settings = settings
        self._tells_starts = settings.log_level == "debug"
        self._max_result_bytes = settings.queue_max_payload_bytes
        self._calls = Calls(broker)
        self.metrics = JobMetrics(broker.catalog, [each.queue for each in claims])
        self._joblog = JobLog("worker")
        self._notes = {each.queue: Notes(each) for each in claims}
        self.pumps = [Pump(each, concurrency[each.queue], self.start, self._record) for each in claims]

    async def listen(self, finish_event: asyncio.Event) -> None:
        """Runs jobs until the event is set; then claims no more, and hands back those that do not end in time."""
        async with asyncio.TaskGroup() as group:
            clock = group.create_task(self._keep_time())
            running = {group.create_task(pump.run()): pump for pump in self.pumps}
            await finish_event.wait()
            await self._drain(running)
            clock.cancel()

    async def _drain(self, running: Mapping[asyncio.Task[None], Pump]) -> None:
        self.draining = True
        await asyncio.gather(*(pump.close() for pump in self.pumps))
        await asyncio.wait(running, timeout=self._settings.shutdown_grace_seconds)
        for pump in self.pumps:
            pump.break_off_all()
        await asyncio.wait(running, timeout=HAND_BACK_SECONDS)
        self.abandoned = sum(pump.abandon_all() for pump in self.pumps)
        _, unsettled = await asyncio.wait(running, timeout=HAND_BACK_SECONDS)
        for task in unsettled:
            _log.warning("ended_unsettled", queue=running[task].queue, jobs=len(running[task].running))
            task.cancel()

    def start(self, pump: Pump, claimed: ClaimedJob) -> RunningJob:
        """Begins a claimed job in a task of its own."""
        job = RunningJob(claimed, pump.queue, self._settings, self._notes[pump.queue])
        job.task = asyncio.create_task(self._attempt(pump, job))
        return job

    def _record(self, jobs: Sequence[Ended]) -> None:
        self.metrics.ended(jobs)
        self._joblog.ended(jobs)

    async def _attempt(self, pump: Pump, job: RunningJob) -> None:
        """One start of one job, top to bottom. Whatever happens, its slot comes free and the store hears of it."""
        try:
            settlement = await self._outcome(job)
            if job.broken_off not in NOT_OURS:
                await job.last_word()
        except Exception as error:
            # Not the handler's doing: a middleware's, or our own.
            job.log.exception("attempt_broken")
            settlement = settlements.raised(job, error)
        pump.end(job, settlement)

    async def _outcome(self, job: RunningJob) -> Settlement | None:
        try:
            envelope = JobEnvelope.FromString(job.claimed.envelope)
            key = f"{envelope.queue_name}/{envelope.job_type}"
            job_type = self._types.get(key)
            if job_type is None:
                return settlements.unknown_type(job, key)
            job.decoded(envelope, job_type)
            payload = job_type.payload.FromString(job.claimed.secret or envelope.payload)
        except DecodeError as error:
            return settlements.unreadable(job, error)
        with job_spans.begin(job) as span:
            if self._tells_starts:
                job.log.debug("job_started", starts=job.starts)
            settlement = await self._handled(job, job_type, payload)
            job_spans.settled(span, job, settlement)
        return settlement

    async def _handled(self, job: RunningJob, job_type: JobType, payload: Message) -> Settlement | None:
        """What comes of the handler's work."""
        try:
            answer = await self._until_end(job, job_type, payload)
        except BaseException as error:  # noqa: BLE001  (whatever a handler raises ends its job, not the worker)
            return self._raised(job, error)
        if answer is _NO_ANSWER:
            return settlements.broken_off(job)
        return settlements.answered(job, job_type, answer, self._max_result_bytes)

    async def _until_end(self, job: RunningJob, job_type: JobType, payload: Message) -> Any:
        """What the handler answers, unless it is broken off. Raises what it raises.

        Unlike a bare cancel of the task, the scope waits for threads that the job runs: its slot is free when it is.
        """
        with self._new_scope() as job.scope:
            if job.broken_off is not None:
                job.scope.cancel()
            return await self._calls.answer(job_type, payload, job)
        return _NO_ANSWER

    async def _keep_time(self) -> None:
        """Breaks off the jobs whose time is over. One clock for all costs less than a timer for each."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            for pump in self.pumps:
                for job in pump.slots:
                    if job.limit and now > job.started + job.limit and job.broken_off is None:
                        job.break_off(BreakOff.TIMEOUT)

    def _raised(self, job: RunningJob, error: BaseException) -> Settlement | None:
        if job.broken_off is not None:
            return settlements.broken_off(job)
        settlement = settlements.raised(job, error)
        if settlement is not None and not isinstance(error, HandlerOutcome):
            job.log.warning("attempt_failed", reason=settlement.reason, exc_info=error)
        return settlement
