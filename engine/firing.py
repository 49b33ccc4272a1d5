"""The firing of schedules: each slot once, and none kept from firing by another schedule."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec
from google.protobuf.message import DecodeError
from qcollector.jobs.v1.job_pb2 import JobOptions

from base.telemetry import tracing
from base.telemetry.spans import Kind
from base.telemetry.trace_context import NO_TRACE, TraceContext
from contract.admission import RESERVED_PREFIX, Admission, Admitted, Origin, repeatable
from contract.catalog import Catalog
from contract.errors import (
    JobIdConflictError,
    JobServiceError,
    ScheduleBrokenError,
    StoreFullError,
    StoreUnavailableError,
)
from contract.new_job import Slot
from contract.times import milliseconds_of
from engine.intake import Intake
from engine.jobs import Enqueued
from engine.schedules import SCOPE, Schedules, StoredSchedule
from engine.store import Store

RECHECK_SECONDS: Final = 60.0
"""How often a schedule is tried without being fired, so that a fault is known before its slot comes."""
_MOST_MISSED: Final = 1000
"""Missed slots are counted up to this."""
_CAUSE_LENGTH: Final = 500
_AWAY: Final = (StoreUnavailableError, StoreFullError)
"""What is the store's fault, and no schedule's."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A slot that was fired just now."""

    queue: str
    job_type: str
    job_id: str
    late: float
    """Seconds from the slot to the store's time when it was seen to be due."""
    missed: int
    """Earlier slots that nobody had fired, which are not made up."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A schedule that was just found unable to fire."""

    schedule: str
    cause: str
    error: Exception


@dataclass(slots=True)
class Round:
    """What one look at all schedules came to."""

    fired: list[str] = field(default_factory=list)
    """The ids of the jobs."""
    coming: datetime | None = None
    """When the next slot comes."""
    faults: list[Fault] = field(default_factory=list)
    away: JobServiceError | None = None
    """What kept the store from taking a job, or a note; the slot is fired once the store can."""


class Firing:
    """Enqueues the jobs of schedules. Any number of processes may do so at once."""

    def __init__(
        self, store: Store, schedules: Schedules, catalog: Catalog, admission: Admission, intake: Intake
    ) -> None:
        self._store = store
        self._schedules = schedules
        self._catalog = catalog
        self._admission = admission
        self._intake = intake
        self._recheck = 0.0

    async def fire_due(self, tell: Callable[[Fired], None] | None = None) -> Round:
        """Enqueues a job for each schedule whose slot has come. `tell` hears of each that was fired.

        Of several slots that were missed, the latest alone is made up. A schedule that cannot fire is noted in the
        store with the cause, and affects no other.

        Raises:
          StoreUnavailableError: the schedules cannot be read.
        """
        schedules, now = await self._schedules.all()
        thorough = time.monotonic() >= self._recheck
        if thorough:
            self._recheck = time.monotonic() + RECHECK_SECONDS
        done = Round()
        looks = [self._look(one, now, done, tell, thorough) for one in schedules if not one.record.paused]
        await asyncio.gather(*looks)
        return done

    async def _look(
        self,
        schedule: StoredSchedule,
        now: datetime,
        done: Round,
        tell: Callable[[Fired], None] | None,
        thorough: bool,
    ) -> None:
        slot = None
        try:
            if schedule.problem:
                raise ScheduleBrokenError(schedule.problem, schedule=schedule.record.name)  # noqa: TRY301  (a fault like any other)
            slot = schedule.cron.latest(schedule.since, now)
            for coming in schedule.cron.next_times(now, 1):
                done.coming = min(coming, done.coming or coming)
            if slot is not None:
                if job_id := await self._fire(schedule, slot):
                    done.fired.append(job_id)
                    if tell is not None:
                        tell(_told(schedule, job_id, slot, now))
            elif thorough or schedule.fault:
                self._admit(schedule, f"{RESERVED_PREFIX}{schedule.record.name}", now, NO_TRACE)
                await self._note(schedule, slot, "")
        except _AWAY as error:
            done.away = error
        except Exception as error:  # noqa: BLE001  (whatever keeps one schedule from firing must not keep the others)
            await self._blame(schedule, slot, error, done)

    async def _blame(self, schedule: StoredSchedule, slot: datetime | None, error: Exception, done: Round) -> None:
        cause = _cause(error)
        try:
            if await self._note(schedule, slot, cause):
                done.faults.append(Fault(schedule.record.name, cause, error))
        except _AWAY as away:
            done.away = away

    async def _note(self, schedule: StoredSchedule, slot: datetime | None, cause: str) -> bool:
        """Notes in the store what keeps a schedule from firing, or that nothing does; whether that is new."""
        if cause == schedule.fault:
            return False
        place = milliseconds_of(slot) if slot else 0
        noted = await self._store.run("schedule_fault", SCOPE, schedule.record.name, schedule.stored, place, cause)
        return bool(noted)

    async def _fire(self, schedule: StoredSchedule, slot: datetime) -> str:
        """Enqueues first and notes then: whoever dies in between is repeated, and the job's id makes that harmless."""
        record = schedule.record
        job_id = f"{RESERVED_PREFIX}{record.name}-{slot:%Y%m%dT%H%M%SZ}"
        attributes = {"messaging.destination.name": record.queue_name, "messaging.message.id": job_id}
        with tracing.begin(f"fire {record.name}", Kind.INTERNAL, attributes) as span:
            # Another scheduler may have fired this slot while the schedule was being changed.
            with suppress(JobIdConflictError):
                await self._intake.enqueue(self._admit(schedule, job_id, slot, span.trace).job)
            noted = await self._store.run("schedule_fired", SCOPE, record.name, milliseconds_of(slot), job_id, "0")
        return job_id if noted else ""

    async def trigger(
        self, name: str, trace: TraceContext = NO_TRACE, *, caller: str = "", request_id: str = ""
    ) -> tuple[Admitted, Enqueued]:
        """Enqueues a schedule's job now, apart from its slots; once for each `request_id` of a caller.

        Raises:
          ScheduleNotFoundError: there is no such schedule.
          ScheduleBrokenError: its record or its payload cannot be read.
          RequestIdConflictError: the caller used the request id for something else.
        """
        schedule = await self._schedules.get(name)
        schedule.check_readable()
        now = datetime.now(UTC)
        job_id = f"{RESERVED_PREFIX}{name}-{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}Z"
        admitted = self._admit(schedule, job_id, now, trace)
        # The request is for this schedule, whatever its job is by the time that the call is repeated.
        protected = repeatable(request_id, caller, b"trigger", name.encode())
        enqueued = await self._intake.enqueue(msgspec.structs.replace(admitted.job, **protected))
        if not enqueued.duplicate:
            await self._note_run(name, milliseconds_of(now), enqueued.id)
        elif all(run.job_id != enqueued.id for run in await self._schedules.runs(name)):
            # The first call ended between its two steps.
            await self._note_run(name, enqueued.created, enqueued.id)
        return admitted, enqueued

    async def _note_run(self, name: str, place: int, job_id: str) -> None:
        await self._store.run("schedule_fired", SCOPE, name, place, job_id, "1")

    def _admit(self, schedule: StoredSchedule, job_id: str, slot: datetime, trace: TraceContext) -> Admitted:
        record = schedule.record
        job_type = self._catalog.type(record.queue_name, record.job_type)
        try:
            payload = job_type.payload.FromString(record.payload)
        except DecodeError as error:
            cause = f"its payload cannot be read as one of {job_type.key}: give it another job"
            raise ScheduleBrokenError(cause, schedule=record.name) from error
        options = JobOptions()
        options.CopyFrom(record.options)
        options.job_id = job_id
        origin = Origin(schedule.run_as, trace=trace, slot=Slot(slot, record.timezone))
        return self._admission.admit_payload(payload, options, origin, recurring=True)


def _told(schedule: StoredSchedule, job_id: str, slot: datetime, now: datetime) -> Fired:
    record = schedule.record
    missed = schedule.cron.between(schedule.since, slot, _MOST_MISSED)
    return Fired(record.queue_name, record.job_type, job_id, (now - slot).total_seconds(), missed)


def _cause(error: Exception) -> str:
    """The cause, for operators. The text of an unexpected error may hold anything: it is for the scheduler's log alone."""
    if isinstance(error, JobServiceError):
        return error.message[:_CAUSE_LENGTH]
    return "an unexpected fault; the scheduler's log tells more"
