"""The recurring entries of a new store: seeded once, the user's from then on, fired by the housekeeping process."""

import asyncio

import pytest

from base.settings import Settings
from engine.admission import Admission
from engine.catalog import Catalog
from engine.intake import Intake
from engine.schedules import Schedules
from engine.store import Store
from tests.conftest import eventually
from workers.recurring import entries, fire_schedules

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
def schedules(store: Store, settings: Settings, catalog: Catalog) -> Schedules:
    return Schedules(store, catalog, Admission(catalog, settings), Intake(store, settings))


def test_the_entries_are_the_documented_seven_in_the_default_zone(catalog: Catalog, settings: Settings) -> None:
    made = entries(catalog, settings.model_copy(update={"schedule_timezone": "Asia/Bangkok"}))
    found = {one.name: (one.cron, f"{one.queue_name}/{one.job_type}", one.options.priority) for one in made}
    assert found == DOCUMENTED
    assert {one.timezone for one in made} == {"Asia/Bangkok"}


async def test_schedulers_seed_once_and_fire_what_is_due(
    schedules: Schedules, store: Store, catalog: Catalog, settings: Settings
) -> None:
    stopping = asyncio.Event()
    running = [asyncio.create_task(fire_schedules(schedules, catalog, settings, stopping, look=0.05)) for _ in range(3)]

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
