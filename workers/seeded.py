"""The schedules that a new store begins with, and what becomes of them when a scheduler starts with other settings."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions

from base.settings import Settings
from contract.catalog import Catalog
from contract.decoding import decode_data
from engine.schedules import Schedules

SYSTEM: Final = Caller(id="system", name="Scheduler", role="super_admin")

_DAY: Final = 24 * 3_600_000

Entry = tuple[str, str, str, str, str, dict[str, Any], int]
ENTRIES: Final[Sequence[Entry]] = (
    (
        *("daily-cleanup", "Temporary files, old sessions, old logs", "0 2 * * *", "system:cleanup", "cleanup"),
        {
            "tasks": [
                {"type": "temp_files", "maxAge": _DAY},
                {"type": "old_sessions", "maxAge": 7 * _DAY},
                {"type": "old_logs", "maxAge": 30 * _DAY},
            ]
        },
        5,
    ),
    (
        *("weekly-backup", "Database, uploads and logs", "0 3 * * 0", "system:backup", "backup"),
        {"type": "weekly", "targets": [{"type": "database"}, {"type": "uploads"}, {"type": "logs"}]},
        8,
    ),
    (
        *("daily-analytics", "Statistics of the day before", "0 1 * * *", "analytics:calculate", "system-analytics"),
        {"period": "day", "completed": True},
        3,
    ),
    (
        *("weekly-analytics", "Statistics of the week before", "0 1 * * 1", "analytics:calculate", "system-analytics"),
        {"period": "week", "completed": True},
        3,
    ),
    (
        *(
            "monthly-analytics",
            "Statistics of the month before",
            "0 1 1 * *",
            "analytics:calculate",
            "system-analytics",
        ),
        {"period": "month", "completed": True},
        3,
    ),
    (
        *("health-check", "Database, store, mail and queues", "*/30 * * * *", "system:cleanup", "health-check"),
        {"services": ["database", "redis", "email", "queue"]},
        2,
    ),
    (
        *("file-cleanup", "Orphaned and temporary files", "0 */6 * * *", "file:cleanup", "cleanup"),
        {"files": [], "olderThan": _DAY},
        4,
    ),
)
"""Name, purpose, cron expression, queue, type, data and priority."""


async def seed(schedules: Schedules, catalog: Catalog, settings: Settings) -> int:
    """Writes them into a store that never had any, once; how many."""
    return await schedules.seed(entries(catalog, settings))


async def bring_up_to_date(schedules: Schedules, catalog: Catalog, settings: Settings) -> list[str]:
    """Puts SCHEDULE_TIMEZONE into the schedules that follow it; the names of those whose zone changes.

    Analytics that an older release seeded, which covered the hour since midnight, cover what has ended, too.
    """
    changed = []
    mended = _mended_payloads(catalog)
    for schedule in (await schedules.all())[0]:
        record = schedule.record
        if not schedule.readable or (_is_current(record) and not _differs(record, settings)):
            continue
        await schedules.change(record.name, lambda record: _bring_up(record, settings, mended))
        if _follows(record) and record.timezone != settings.schedule_timezone:
            changed.append(record.name)
    return changed


def _is_current(record: ScheduleRecord) -> bool:
    """Whether this release wrote it, or has brought it up to date."""
    return record.HasField("created_by")


def _follows(record: ScheduleRecord) -> bool:
    """Records of older releases do not say it: seeded ones follow the setting if nobody has changed them."""
    if _is_current(record):
        return record.timezone_follows_setting
    return record.run_as.id == SYSTEM.id and record.update_time == record.create_time


def _differs(record: ScheduleRecord, settings: Settings) -> bool:
    return _follows(record) and record.timezone != settings.schedule_timezone


def _mended_payloads(catalog: Catalog) -> dict[tuple[str, bytes], bytes]:
    """What older releases seeded, by name and payload, and what is seeded now."""
    mended = {}
    for name, _, _, queue, word, data, _ in ENTRIES:
        if "completed" in data and f"{queue}/{word}" in catalog.types:
            job_type = catalog.type(queue, word)
            old = decode_data(job_type, {key: value for key, value in data.items() if key != "completed"})
            mended[name, old.SerializeToString()] = decode_data(job_type, data).SerializeToString()
    return mended


def _bring_up(record: ScheduleRecord, settings: Settings, mended: Mapping[tuple[str, bytes], bytes]) -> None:
    record.timezone_follows_setting = _follows(record)
    if record.timezone_follows_setting:
        record.timezone = settings.schedule_timezone
    if not _is_current(record):
        if record.run_as.id == SYSTEM.id:  # otherwise somebody has set its job
            record.payload = mended.get((record.name, record.payload), record.payload)
        record.created_by.CopyFrom(record.run_as)


def entries(catalog: Catalog, settings: Settings) -> list[ScheduleRecord]:
    """What a store that never had schedules begins with. They are the user's to change from then on."""
    return [_record(entry, catalog, settings) for entry in ENTRIES if f"{entry[3]}/{entry[4]}" in catalog.types]


def _record(entry: Entry, catalog: Catalog, settings: Settings) -> ScheduleRecord:
    name, description, cron, queue, word, data, priority = entry
    now = Timestamp()
    now.GetCurrentTime()
    return ScheduleRecord(
        name=name,
        description=description,
        cron=cron,
        timezone=settings.schedule_timezone,
        timezone_follows_setting=True,
        queue_name=queue,
        job_type=word,
        payload=decode_data(catalog.type(queue, word), data).SerializeToString(),
        options=JobOptions(priority=priority),
        create_time=now,
        update_time=now,
        created_by=SYSTEM,
        run_as=SYSTEM,
    )
