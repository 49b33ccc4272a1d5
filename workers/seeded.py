"""The schedules that a new store begins with, and what becomes of them when a scheduler starts with other settings."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions

from base.settings import Settings
from contract.catalog import Catalog
from contract.decoding import decode_data
from engine.schedules import Schedules
from workers.duties import Seed, seeds

SYSTEM: Final = Caller(id="system", name="Scheduler", role="super_admin")


async def seed(schedules: Schedules, catalog: Catalog, settings: Settings) -> int:
    """Writes them into a store that never had any, once; how many."""
    return await schedules.seed(entries(catalog, settings))


async def bring_up_to_date(schedules: Schedules, catalog: Catalog, settings: Settings) -> list[str]:
    """Puts SCHEDULE_TIMEZONE into the schedules that follow it; the names of those whose zone changes.

    Payloads that older releases seeded give way to those of today (Seed.earlier).
    """
    changed = []
    mended = _mended_payloads(catalog, settings)
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


def _mended_payloads(catalog: Catalog, settings: Settings) -> dict[tuple[str, bytes], bytes]:
    """What older releases seeded, by name and payload, and what is seeded now."""
    return {
        (seed.name, _payload(seed, old, catalog)): _payload(seed, seed.data, catalog)
        for seed in seeds(settings.job_plugins)
        if f"{seed.queue}/{seed.type}" in catalog.types
        for old in seed.earlier
    }


def _payload(seed: Seed, data: Mapping[str, Any], catalog: Catalog) -> bytes:
    return decode_data(catalog.type(seed.queue, seed.type), data).SerializeToString()


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
    known = (seed for seed in seeds(settings.job_plugins) if f"{seed.queue}/{seed.type}" in catalog.types)
    return [_record(seed, catalog, settings) for seed in known]


def _record(seed: Seed, catalog: Catalog, settings: Settings) -> ScheduleRecord:
    now = Timestamp()
    now.GetCurrentTime()
    return ScheduleRecord(
        name=seed.name,
        description=seed.description,
        cron=seed.cron,
        timezone=settings.schedule_timezone,
        timezone_follows_setting=True,
        queue_name=seed.queue,
        job_type=seed.type,
        payload=_payload(seed, seed.data, catalog),
        options=JobOptions(priority=seed.priority),
        create_time=now,
        update_time=now,
        created_by=SYSTEM,
        run_as=SYSTEM,
    )
