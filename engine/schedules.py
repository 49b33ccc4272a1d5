"""Recurring jobs as the store keeps them: read, made, and changed without undoing anybody else's change."""

import asyncio
import hashlib
import random
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from google.protobuf.message import DecodeError
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import Caller

from contract.errors import EtagMismatchError, ScheduleBrokenError, ScheduleExistsError, ScheduleNotFoundError
from contract.times import moment
from engine.cron import Cron
from engine.packing import pack, unpack
from engine.schema import Change, RunEntry, ScheduleRow, rows_of
from engine.store import Store

SCOPE: Final = "schedules"
_TRIES: Final = 50
"""How often a change without an etag starts over because somebody else was quicker."""
_SPREAD_SECONDS: Final = 0.01
_UNREADABLE: Final = "the store's record of it cannot be read: delete it and make it anew"

Edit = Callable[[ScheduleRecord], None]
"""Changes the fields that are to change. It may run several times, each time on what the store holds then."""


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule as the store has it."""

    record: ScheduleRecord
    since: datetime
    """What is due lies after it: the slot it fired last, or when it was made, changed or resumed."""
    fired: datetime | None
    """The slot it fired last."""
    fault: str
    """Why it could not fire when a scheduler tried last; empty for nothing."""
    stored: bytes
    """The record as the store has it."""
    readable: bool
    """Otherwise the record is empty but for its name."""

    @property
    def cron(self) -> Cron:
        return Cron(self.record.cron, self.record.timezone)

    @property
    def problem(self) -> str:
        """Why it has no slots; empty where it has."""
        return self.cron.problem if self.readable else _UNREADABLE

    @property
    def run_as(self) -> Caller:
        """In whose name its jobs are enqueued."""
        return self.record.run_as if self.record.HasField("run_as") else self.record.created_by

    @property
    def created_by(self) -> Caller:
        return self.record.created_by if self.record.HasField("created_by") else self.record.run_as

    @property
    def etag(self) -> str:
        """Another one after each change. It is not made of the payload, which may hold secrets."""
        if self.record.revision:
            return self.record.revision
        parts = (self.record.name, self.record.create_time.ToJsonString(), self.record.update_time.ToJsonString())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def check_readable(self) -> None:
        """Raises ScheduleBrokenError."""
        if not self.readable:
            raise ScheduleBrokenError(f"{self.record.name}: {_UNREADABLE}.", schedule=self.record.name)


@dataclass(frozen=True, slots=True)
class Run:
    """A job that a schedule enqueued."""

    slot: datetime
    enqueued: datetime
    job_id: str
    triggered: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """How the schedules are that are not paused."""

    overdue: dict[str, float]
    """Those with a slot that nobody has fired, although nothing keeps it, and for how many seconds it is past."""
    faults: dict[str, str]
    """Those that cannot fire, and why."""


class Schedules:
    """Keeps schedules. Any number of processes may change them at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> tuple[list[StoredSchedule], datetime]:
        """Every schedule by name, and the store's time."""
        now, *rows = await self._store.run("schedule_list", SCOPE)
        found = [_stored(row) for row in rows_of(ScheduleRow, rows)]
        return sorted(found, key=lambda schedule: schedule.record.name), moment(int(now))

    async def get(self, name: str) -> StoredSchedule:
        """Raises ScheduleNotFoundError."""
        _, *row = await self._store.run("schedule_get", SCOPE, name)
        if not row:
            raise _not_found(name)
        return _stored(ScheduleRow(*row))

    async def create(self, record: ScheduleRecord) -> None:
        """Raises ScheduleExistsError."""
        record.revision = _new_revision()
        written = await self._store.run("schedule_put", SCOPE, record.name, record.SerializeToString(), "", "1")
        if written != Change.DONE:
            raise ScheduleExistsError(
                f"There is a schedule {record.name!r}; change that one, or choose another name.", schedule=record.name
            )

    async def change(self, name: str, edit: Edit, by: Caller | None = None, etag: str = "") -> None:
        """Changes fields of a schedule. Its slots count from now on where its times change or it is resumed.

        `by` is noted as who changed it. With an `etag` only the schedule that the caller has seen is changed.

        Raises:
          ScheduleNotFoundError: there is no such schedule.
          ScheduleBrokenError: its record cannot be read.
          EtagMismatchError: it is not the one that the caller has seen, or others kept changing it.
        """
        for lost in range(_TRIES):
            if lost:  # spread the tries out: whoever else lost is trying again, too
                await asyncio.sleep(random.uniform(0, _SPREAD_SECONDS * lost))  # noqa: S311  (spreads load, keeps no secret)
            before = await self._seen(name, etag)
            before.check_readable()
            record = ScheduleRecord()
            record.CopyFrom(before.record)
            edit(record)
            if record == before.record:
                return
            if by is not None:
                record.updated_by.CopyFrom(by)
                record.update_time.GetCurrentTime()
            record.revision = _new_revision()
            restart = "1" if _counts_anew(before.record, record) else "0"
            written = await self._store.run(
                "schedule_put", SCOPE, name, record.SerializeToString(), before.stored, restart
            )
            if written == Change.DONE:
                return
        raise EtagMismatchError(
            f"The schedule {name!r} keeps being changed by others. Your change was not made; try again.", schedule=name
        )

    async def delete(self, name: str, etag: str = "") -> None:
        """Raises ScheduleNotFoundError or EtagMismatchError."""
        expected = (await self._seen(name, etag)).stored if etag else b""
        deleted = await self._store.run("schedule_delete", SCOPE, name, expected)
        if deleted == Change.MISSING:
            raise _not_found(name)
        if deleted == Change.OVERTAKEN:
            raise _changed(name)

    async def _seen(self, name: str, etag: str) -> StoredSchedule:
        """The schedule, if it is the one that a caller with this etag has seen."""
        found = await self.get(name)
        if etag and etag != found.etag:
            raise _changed(name)
        return found

    async def seed(self, records: Iterable[ScheduleRecord]) -> int:
        """Writes the first schedules of a store that never had any, if there are some; how many."""
        entries = pack([part for record in records for part in (record.name, record.SerializeToString())])
        if entries == pack([]):
            return 0
        written: int = await self._store.run("schedule_seed", SCOPE, entries)
        return written

    async def runs(self, name: str) -> list[Run]:
        """The latest jobs, newest first. Raises ScheduleNotFoundError."""
        packed = await self._store.run("schedule_runs", SCOPE, name)
        if packed == Change.MISSING:
            raise _not_found(name)
        try:
            history = [RunEntry(*run) for run in unpack(packed)] if packed else []
            return [Run(moment(run.slot), moment(run.time), run.job_id, run.triggered) for run in reversed(history)]
        except (ValueError, TypeError):
            return []  # it cannot be read, and begins anew with the next run

    async def condition(self) -> Condition:
        """Which schedules are overdue, and which cannot fire."""
        schedules, now = await self.all()
        overdue, faults = {}, {}
        for schedule in schedules:
            if schedule.record.paused:
                continue
            if fault := schedule.problem or schedule.fault:
                faults[schedule.record.name] = fault
            elif (coming := schedule.cron.next_times(schedule.since, 1)) and coming[0] <= now:
                overdue[schedule.record.name] = (now - coming[0]).total_seconds()
        return Condition(overdue, faults)


def _stored(row: ScheduleRow) -> StoredSchedule:
    """One that cannot be read is told as such: it must not hide the others."""
    name, fault = row.name.decode(errors="replace"), row.fault.decode(errors="replace")
    try:
        record = ScheduleRecord.FromString(row.record)
        slots = moment(int(row.since)), moment(int(row.fired)) if int(row.fired) else None
    except (DecodeError, ValueError, OverflowError, OSError):
        record, slots = ScheduleRecord(), (moment(0), None)
    if record.name != name:
        return StoredSchedule(ScheduleRecord(name=name), *slots, fault, stored=row.record, readable=False)
    return StoredSchedule(record, *slots, fault, stored=row.record, readable=True)


def _counts_anew(before: ScheduleRecord, after: ScheduleRecord) -> bool:
    """Slots that passed during a pause are not made up, nor those of other times."""
    resumed = before.paused and not after.paused
    return resumed or (before.cron, before.timezone) != (after.cron, after.timezone)


def _new_revision() -> str:
    return secrets.token_hex(8)


def _not_found(name: str) -> ScheduleNotFoundError:
    return ScheduleNotFoundError(f"There is no schedule {name!r}.", schedule=name)


def _changed(name: str) -> EtagMismatchError:
    return EtagMismatchError(
        f"The schedule {name!r} was changed since you read it. Read it again, and repeat your change if you still want it.",
        schedule=name,
    )
