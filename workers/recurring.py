"""Recurring jobs: the entries that a new store begins with, and the firing of what is due."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions

from base.settings import Settings
from engine.catalog import Catalog
from engine.decoding import decode_data
from engine.errors import JobServiceError
from engine.schedules import Schedules
from workers.schedule_metrics import ScheduleMetrics

LOOK_SECONDS: Final = 5.0
"""How long a change of the schedules goes unnoticed at most."""
SYSTEM: Final = Caller(id="system", name="Scheduler", role="super_admin")

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR

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
        *("daily-analytics", "Statistics of the day", "0 1 * * *", "analytics:calculate", "system-analytics"),
        {"period": "day"},
        3,
    ),
    (
        *("weekly-analytics", "Statistics of the week", "0 1 * * 1", "analytics:calculate", "system-analytics"),
        {"period": "week"},
        3,
    ),
    (
        *("monthly-analytics", "Statistics of the month", "0 1 1 * *", "analytics:calculate", "system-analytics"),
        {"period": "month"},
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

_log = structlog.get_logger(__name__)


async def fire_schedules(
    schedules: Schedules,
    catalog: Catalog,
    settings: Settings,
    stopping: asyncio.Event,
    metrics: ScheduleMetrics | None = None,
    *,
    look: float = LOOK_SECONDS,
) -> None:
    """Fires each slot as it comes, until the event is set. Any number of processes may do so."""
    metrics = metrics or ScheduleMetrics()
    seeded = away = False
    while not stopping.is_set():
        pause = look
        try:
            if not seeded:
                written = await schedules.seed(entries(catalog, settings))
                seeded = True
                if written:
                    _log.info("schedules_seeded", schedules=written)
            fired, coming = await schedules.fire_due(metrics.fired)
            metrics.looked()
            if fired:
                _log.info("schedules_fired", jobs=fired)
            if coming is not None:
                pause = min(look, max((coming - datetime.now(UTC)).total_seconds(), 0.01))
            away = False
        except JobServiceError as error:
            if not away:
                _log.warning("schedules_not_fired", reason=error.message)
            away = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)


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
        queue_name=queue,
        job_type=word,
        payload=decode_data(catalog.type(queue, word), data).SerializeToString(),
        options=JobOptions(priority=priority),
        create_time=now,
        update_time=now,
        created_by=SYSTEM,
    )
