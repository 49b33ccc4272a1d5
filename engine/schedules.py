"""Recurring jobs: schedules in the store, and the firing of their slots, each once."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.job_service_pb2 import EnqueueJobRequest

from base.telemetry import tracing
from base.telemetry.spans import Kind
from base.telemetry.trace_context import NO_TRACE, TraceContext
from engine.admission import RESERVED_PREFIX, Admission, Asked, Origin
from engine.catalog import Catalog
from engine.cron import Cron
from engine.errors import JobIdConflictError, ScheduleExistsError, ScheduleNotFoundError
from engine.intake import Intake
from engine.packing import pack, unpack
from engine.store import Store

_SCOPE: Final = "schedules"
_MOST_MISSED: Final = 1000
"""Missed slots are counted up to this."""


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule as the store has it."""

    record: ScheduleRecord
    since: datetime
    """What is due lies after it: the slot it fired last, or when it was made, changed or resumed."""
    fired: datetime | None
    """The slot it fired last."""

    @property
    def cron(self) -> Cron:
        return Cron(self.record.cron, self.record.timezone)


@dataclass(frozen=True, slots=True)
class Run:
    """A job that a schedule enqueued."""

    slot: datetime
    enqueued: datetime
    job_id: str
    triggered: bool


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


class Schedules:
    """Keeps schedules and fires them. Any number of processes may do so at once."""

    def __init__(self, store: Store, catalog: Catalog, admission: Admission, intake: Intake) -> None:
        self._store = store
        self._catalog = catalog
        self._admission = admission
        self._intake = intake

    async def all(self) -> tuple[list[StoredSchedule], datetime]:
        """Every schedule by name, and the store's time."""
        now, *rows = await self._store.run("schedule_list", _SCOPE)
        found = [
            StoredSchedule(
                ScheduleRecord.FromString(rows[i + 1]),
                _moment(int(rows[i + 2])),
                _moment(int(rows[i + 3])) if int(rows[i + 3]) else None,
            )
            for i in range(0, len(rows), 4)
        ]
        return sorted(found, key=lambda schedule: schedule.record.name), _moment(int(now))

    async def get(self, name: str) -> StoredSchedule:
        """Raises ScheduleNotFoundError."""
        for schedule in (await self.all())[0]:
            if schedule.record.name == name:
                return schedule
        raise _not_found(name)

    async def create(self, record: ScheduleRecord) -> None:
        """Raises ScheduleExistsError."""
        if not await self._store.run("schedule_put", _SCOPE, record.name, record.SerializeToString(), "create", "1"):
            raise ScheduleExistsError(
                f"There is a schedule {record.name!r}; change that one, or choose another name.", schedule=record.name
            )

    async def update(self, record: ScheduleRecord, *, restart: bool) -> None:
        """Replaces a schedule; with `restart` its slots count from now on. Raises ScheduleNotFoundError."""
        packed = record.SerializeToString()
        if not await self._store.run("schedule_put", _SCOPE, record.name, packed, "update", "1" if restart else "0"):
            raise _not_found(record.name)

    async def delete(self, name: str) -> None:
        """Raises ScheduleNotFoundError."""
        if not await self._store.run("schedule_delete", _SCOPE, name):
            raise _not_found(name)

    async def seed(self, records: Iterable[ScheduleRecord]) -> int:
        """Writes the first schedules of a store that never had any, if there are some; how many."""
        entries = pack([part for record in records for part in (record.name, record.SerializeToString())])
        if entries == pack([]):
            return 0
        written: int = await self._store.run("schedule_seed", _SCOPE, entries)
        return written

    async def runs(self, name: str) -> list[Run]:
        """The latest jobs, newest first. Raises ScheduleNotFoundError."""
        packed = await self._store.run("schedule_runs", _SCOPE, name)
        if packed == -1:
            raise _not_found(name)
        history = unpack(packed) if packed else []
        return [Run(_moment(slot), _moment(at), job_id, triggered) for slot, at, job_id, triggered in reversed(history)]

    async def fire_due(self, tell: Callable[[Fired], None] | None = None) -> tuple[list[str], datetime | None]:
        """Enqueues a job for each schedule whose slot has come; their ids, and when the next slot comes.

        Of several slots that were missed, the latest alone is made up. `tell` hears of each that was fired.
        """
        schedules, now = await self.all()
        fired, coming = [], []
        for schedule in schedules:
            if schedule.record.paused:
                continue
            slot = schedule.cron.latest(schedule.since, now)
            if slot is not None and (job_id := await self._fire(schedule, slot)):
                fired.append(job_id)
                if tell is not None:
                    tell(_told(schedule, job_id, slot, now))
            coming += schedule.cron.next_times(now, 1)
        return fired, min(coming, default=None)

    async def overdue(self) -> dict[str, float]:
        """The schedules with a slot that has come and that nobody has fired, and for how many seconds it is past."""
        schedules, now = await self.all()
        late = {}
        for schedule in schedules:
            coming = [] if schedule.record.paused else schedule.cron.next_times(schedule.since, 1)
            if coming and coming[0] <= now:
                late[schedule.record.name] = (now - coming[0]).total_seconds()
        return late

    async def _fire(self, schedule: StoredSchedule, slot: datetime) -> str:
        """Enqueues first and notes then: whoever dies in between is repeated, and the job's id makes that harmless."""
        job_id = f"{RESERVED_PREFIX}{schedule.record.name}-{slot:%Y%m%dT%H%M%SZ}"
        record = schedule.record
        attributes = {"messaging.destination.name": record.queue_name, "messaging.message.id": job_id}
        with tracing.begin(f"fire {record.name}", Kind.INTERNAL, attributes) as span:
            # Another scheduler may have fired this slot while the schedule was being changed.
            with suppress(JobIdConflictError):
                await self._enqueue(record, job_id, span.trace)
            noted = await self._store.run("schedule_fired", _SCOPE, record.name, _ms(slot), job_id, "0")
        return job_id if noted else ""

    async def trigger(self, name: str, trace: TraceContext = NO_TRACE) -> tuple[str, str]:
        """Enqueues a schedule's job now, apart from its slots; its id and queue. Raises ScheduleNotFoundError."""
        schedule = await self.get(name)
        now = datetime.now(UTC)
        job_id = f"{RESERVED_PREFIX}{name}-{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}Z"
        await self._enqueue(schedule.record, job_id, trace)
        await self._store.run("schedule_fired", _SCOPE, name, _ms(now), job_id, "1")
        return job_id, schedule.record.queue_name

    async def _enqueue(self, record: ScheduleRecord, job_id: str, trace: TraceContext) -> None:
        job_type = self._catalog.type(record.queue_name, record.job_type)
        options = JobOptions()
        options.CopyFrom(record.options)
        options.job_id = job_id
        asked = Asked(job_type, job_type.payload.FromString(record.payload))
        origin = Origin(record.created_by, trace=trace)
        admitted = self._admission.admit(
            EnqueueJobRequest(options=options), asked, origin, _ms(datetime.now(UTC)), recurring=True
        )
        await self._intake.enqueue(admitted.job)


def _told(schedule: StoredSchedule, job_id: str, slot: datetime, now: datetime) -> Fired:
    record = schedule.record
    missed = schedule.cron.between(schedule.since, slot, _MOST_MISSED)
    return Fired(record.queue_name, record.job_type, job_id, (now - slot).total_seconds(), missed)


def _not_found(name: str) -> ScheduleNotFoundError:
    return ScheduleNotFoundError(f"There is no schedule {name!r}.", schedule=name)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
