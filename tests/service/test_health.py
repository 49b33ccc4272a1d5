"""What health tells of schedulers, the database, the disks, and storage that is not shared, each with a remedy."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.overview_pb2 import CheckHealthRequest
from qcollector.jobs.v1.queue_pb2 import Worker as WorkerReport
from qcollector.jobs.v1.queue_pb2 import WorkerQueue

from base import storage
from base.settings import Settings
from base.storage import StorageRoots
from contract.admission import Admission
from engine.firing import Firing
from engine.intake import Intake
from engine.presence import SCHEDULERS, Presence
from engine.schedules import Schedules
from engine.store import Store
from service import health as found

from .conftest import WORK, Running, serving


@pytest.fixture
async def alone(settings: Settings) -> AsyncIterator[Running]:
    """A service without mail, database and scheduler."""
    async with serving(settings, enable_email_service=False) as started:
        yield started


async def checked(service: Running) -> dict[str, Any]:
    """The parts by name."""
    answer = await service.user.jobs.CheckHealth(CheckHealthRequest())
    return {check.name: check for check in answer.checks}


async def check(service: Running, name: str) -> tuple[str, str]:
    found = (await checked(service))[name]
    return found.status, found.reason


async def test_without_a_scheduler_health_says_how_to_start_one(alone: Running, store: Store) -> None:
    status, reason = await check(alone, "scheduler")
    assert (status, "qjobs scheduler" in reason) == ("degraded", True)
    await Presence(store, SCHEDULERS).report(WorkerReport(id="s"))
    assert await check(alone, "scheduler") == ("healthy", "")
    await Presence(store, SCHEDULERS).leave("s")
    assert (await check(alone, "scheduler"))[0] == "degraded"


async def test_a_scheduler_that_stands_still_is_told_by_the_schedule_that_it_did_not_fire(
    alone: Running, store: Store, catalog: Any
) -> None:
    await Presence(store, SCHEDULERS).report(WorkerReport(id="s"))
    settings = alone.settings
    schedules = Schedules(store)
    firing = Firing(store, schedules, catalog, Admission(catalog, settings), Intake(store, settings))
    await schedules.create(
        ScheduleRecord(name="often", cron="* * * * *", timezone="UTC", queue_name=WORK, job_type="noop")
    )
    assert await check(alone, "scheduler") == ("healthy", "")
    await store.client.hincrby(store.keys("schedules")["slots"], "often", -180_000)
    status, reason = await check(alone, "scheduler")
    assert (status, "stands still: often" in reason) == ("degraded", True)
    await firing.fire_due()
    assert await check(alone, "scheduler") == ("healthy", "")


async def test_schedules_that_cannot_fire_are_told_by_name_and_cause_until_they_can(
    alone: Running, store: Store, catalog: Any
) -> None:
    await Presence(store, SCHEDULERS).report(WorkerReport(id="s"))
    schedules = Schedules(store)
    firing = Firing(store, schedules, catalog, Admission(catalog, alone.settings), Intake(store, alone.settings))
    for name, job_type in (("fine", "noop"), ("gone", "of-a-plugin-that-is-gone")):
        await schedules.create(
            ScheduleRecord(name=name, cron="0 0 1 1 *", timezone="UTC", queue_name=WORK, job_type=job_type)
        )
    assert await check(alone, "scheduler") == ("healthy", "")
    await firing.fire_due()
    status, reason = await check(alone, "scheduler")
    assert status == "degraded"
    assert reason.startswith("schedule gone cannot fire: ")
    assert "of-a-plugin-that-is-gone" in reason
    await schedules.change("gone", lambda record: setattr(record, "paused", True))
    assert await check(alone, "scheduler") == ("healthy", "")


async def test_a_disk_that_runs_full_is_told_with_what_is_left(alone: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await check(alone, "storage") == ("healthy", "")
    monkeypatch.setattr(storage, "LEAST_FREE", 10**15)
    status, reason = await check(alone, "storage")
    assert status == "degraded"
    assert reason.startswith("the disk of DATA_DIR has ")
    assert "make room" in reason
    assert reason.count("the disk of") == 1  # all roots lie on it


@pytest.mark.families
async def test_a_worker_on_files_that_sees_other_folders_is_named_with_the_roots(alone: Running, store: Store) -> None:
    own = StorageRoots(alone.settings).marks()
    report = WorkerReport(id="w-1", queues=[WorkerQueue(queue_name="file:process")], storage_ids=own)
    await Presence(store).report(report)
    assert await check(alone, "storage") == ("healthy", "")
    report.storage_ids["UPLOAD_DIR"] = "another"
    report.storage_ids["EXPORT_DIR"] = ""
    await Presence(store).report(report)
    status, reason = await check(alone, "storage")
    assert status == "degraded"
    assert "worker w-1 does not share UPLOAD_DIR, EXPORT_DIR" in reason
    report.queues[0].queue_name = "email:send"  # which works on no shared files
    await Presence(store).report(report)
    assert await check(alone, "storage") == ("healthy", "")


def test_a_folder_that_the_service_itself_does_not_see_is_not_blamed_on_workers() -> None:
    worker = WorkerReport(id="w-1", queues=[WorkerQueue(queue_name="file:process")], storage_ids={"UPLOAD_DIR": "one"})
    check = found.of_storage(["UPLOAD_DIR is gone"], {"UPLOAD_DIR": ""}, [worker], {"file:process"}, 0)
    assert (check.status, check.reason) == ("degraded", "UPLOAD_DIR is gone")
