"""The recurring entries of a new store: seeded once, the user's from then on, fired by the housekeeping process."""

import asyncio

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.analytics_pb2 import AnalyticsSystemAnalytics

from base.settings import Settings
from contract.admission import Admission
from contract.catalog import Catalog
from engine.firing import Firing
from engine.intake import Intake
from engine.schedules import Schedules
from engine.store import Store
from tests.conftest import eventually
from workers.recurring import fire_schedules
from workers.seeded import SYSTEM, bring_up_to_date, entries, seed

DOCUMENTED = {
    "daily-cleanup": ("0 2 * * *", "system:cleanup/cleanup", 5),
    "weekly-backup": ("0 3 * * 0", "system:backup/backup", 8),
    "daily-analytics": ("0 1 * * *", "analytics:calculate/system-analytics", 3),
    "weekly-analytics": ("0 1 * * 1", "analytics:calculate/system-analytics", 3),
    "monthly-analytics": ("0 1 1 * *", "analytics:calculate/system-analytics", 3),
    "health-check": ("*/30 * * * *", "system:cleanup/health-check", 2),
    "file-cleanup": ("0 */6 * * *", "file:cleanup/cleanup", 4),
}


@pytest.fixture
def schedules(store: Store) -> Schedules:
    return Schedules(store)


@pytest.fixture
def firing(schedules: Schedules, store: Store, settings: Settings, catalog: Catalog) -> Firing:
    return Firing(store, schedules, catalog, Admission(catalog, settings), Intake(store, settings))


@pytest.mark.families
def test_the_entries_are_the_documented_seven_in_the_default_zone(catalog: Catalog, settings: Settings) -> None:
    made = entries(catalog, settings.model_copy(update={"schedule_timezone": "Asia/Bangkok"}))
    found = {one.name: (one.cron, f"{one.queue_name}/{one.job_type}", one.options.priority) for one in made}
    assert found == DOCUMENTED
    assert {one.timezone for one in made} == {"Asia/Bangkok"}


@pytest.mark.families
async def test_schedulers_seed_once_and_fire_what_is_due(
    schedules: Schedules, firing: Firing, store: Store, catalog: Catalog, settings: Settings
) -> None:
    stopping = asyncio.Event()
    running = [
        asyncio.create_task(fire_schedules(schedules, firing, catalog, settings, stopping, look=0.05)) for _ in range(3)
    ]

    async def seeded() -> bool:
        return len((await schedules.all())[0]) == len(DOCUMENTED)

    await eventually(seeded)
    await schedules.delete("file-cleanup")
    await store.client.hincrby(store.keys("schedules")["slots"], "health-check", -3_600_000)
    await eventually(lambda: schedules.runs("health-check"))
    stopping.set()
    await asyncio.gather(*running)
    (run,) = await schedules.runs("health-check")
    assert run.job_id.startswith("repeat-health-check-")
    assert sorted(one.record.name for one in (await schedules.all())[0]) == sorted(DOCUMENTED.keys() - {"file-cleanup"})


@pytest.mark.families
async def test_seeded_schedules_follow_the_setting_until_somebody_edits_their_zone(
    schedules: Schedules, catalog: Catalog, settings: Settings
) -> None:
    bangkok, lima = (
        settings.model_copy(update={"schedule_timezone": zone}) for zone in ("Asia/Bangkok", "America/Lima")
    )
    await seed(schedules, catalog, settings)
    assert await bring_up_to_date(schedules, catalog, settings) == []
    await schedules.change("daily-cleanup", lambda record: _pin(record, "Europe/Berlin"))
    await schedules.change("file-cleanup", lambda record: setattr(record, "description", "mine"))
    changed = await bring_up_to_date(schedules, catalog, bangkok)
    assert sorted(changed) == sorted(DOCUMENTED.keys() - {"daily-cleanup"})
    assert (await schedules.get("daily-cleanup")).record.timezone == "Europe/Berlin"
    backup = await schedules.get("weekly-backup")
    assert backup.record.timezone == "Asia/Bangkok"
    assert not backup.record.HasField("updated_by"), "nobody has edited it"
    await asyncio.gather(*(bring_up_to_date(schedules, catalog, lima) for _ in range(4)))
    assert (await schedules.get("file-cleanup")).record.timezone == "America/Lima"


def _pin(record: ScheduleRecord, zone: str) -> None:
    record.timezone, record.timezone_follows_setting = zone, False


def _of_an_older_release(record: ScheduleRecord) -> None:
    """As 2627d35 wrote it: one caller, no revision, and the setting's zone as if somebody had chosen it."""
    for field in ("created_by", "updated_by", "revision", "timezone_follows_setting"):
        record.ClearField(field)


@pytest.mark.families
async def test_seeded_schedules_of_an_older_release_follow_too_if_nobody_has_changed_them(
    schedules: Schedules, store: Store, catalog: Catalog, settings: Settings
) -> None:
    old = entries(catalog, settings)
    for record in old:
        _of_an_older_release(record)
    changed, users = old[0], old[1]
    changed.update_time.CopyFrom(Timestamp(seconds=changed.create_time.seconds + 60))
    users.run_as.id = "ulla"
    packed = {record.name: record.SerializeToString() for record in old}
    await store.client.hset(store.keys("schedules")["records"], mapping=packed)
    bangkok = settings.model_copy(update={"schedule_timezone": "Asia/Bangkok"})
    followed = await bring_up_to_date(schedules, catalog, bangkok)
    assert sorted(followed) == sorted(packed.keys() - {changed.name, users.name})
    for name in packed:
        found = await schedules.get(name)
        assert found.record.timezone == ("Asia/Bangkok" if name in followed else settings.schedule_timezone)
        assert found.created_by.id == ("ulla" if name == users.name else SYSTEM.id)
    assert await bring_up_to_date(schedules, catalog, bangkok) == []


@pytest.mark.families
async def test_seeded_analytics_of_an_older_release_cover_what_has_ended_unless_somebody_set_their_job(
    schedules: Schedules, store: Store, catalog: Catalog, settings: Settings
) -> None:
    old = {record.name: record for record in entries(catalog, settings)}
    for name, period in (("daily-analytics", 1), ("weekly-analytics", 2), ("monthly-analytics", 3)):
        _of_an_older_release(old[name])
        old[name].payload = AnalyticsSystemAnalytics(period=period).SerializeToString()
    old["weekly-analytics"].paused = True
    old["weekly-analytics"].update_time.GetCurrentTime()
    old["monthly-analytics"].run_as.id = "ulla"
    packed = {record.name: record.SerializeToString() for record in old.values()}
    await store.client.hset(store.keys("schedules")["records"], mapping=packed)
    await bring_up_to_date(schedules, catalog, settings)

    async def payload(name: str) -> AnalyticsSystemAnalytics:
        return AnalyticsSystemAnalytics.FromString((await schedules.get(name)).record.payload)

    assert await payload("daily-analytics") == AnalyticsSystemAnalytics(period=1, completed=True)
    assert await payload("weekly-analytics") == AnalyticsSystemAnalytics(period=2, completed=True)
    assert await payload("monthly-analytics") == AnalyticsSystemAnalytics(period=3)
    assert (await schedules.get("weekly-analytics")).record.paused
