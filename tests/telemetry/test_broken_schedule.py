"""A real scheduler with a schedule in the middle that cannot fire."""

import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import grpc
import pytest
from pydantic import SecretStr
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import Caller as JobCaller
from qcollector.jobs.v1.overview_pb2 import CheckHealthRequest
from qcollector.jobs.v1.schedule_service_pb2 import ListScheduleRunsRequest, ListSchedulesRequest
from qcollector.jobs.v1.schedule_service_pb2_grpc import ScheduleServiceStub

from base.settings import Settings
from engine.schedules import Schedules
from engine.store import Store
from tests.conftest import ValkeyServer, eventually
from tests.service.conftest import WORK, Caller, bearer
from tests.telemetry.conftest import Processes, environment

NAMES = ("a-first", "middle", "z-last")


@pytest.fixture
async def processes(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Processes]:
    running = Processes(tmp_path, environment(valkey, tmp_path))
    yield running
    running.end()


async def test_a_broken_schedule_is_told_by_health_and_metrics_while_its_neighbours_fire(
    processes: Processes, valkey: ValkeyServer, settings: Settings
) -> None:
    prefix = processes.told["REDIS_KEY_PREFIX"]
    store = await Store.open(
        settings.model_copy(update={"redis_url": SecretStr(valkey.url), "redis_key_prefix": prefix})
    )
    for name in NAMES:
        record = ScheduleRecord(name=name, cron="* * * * *", timezone="UTC", queue_name=WORK, job_type="noop")
        record.created_by.CopyFrom(JobCaller(id="alice", role="admin"))
        if name == "middle":
            record.job_type = "of-a-plugin-that-is-gone"
        await Schedules(store).create(record)
        await store.client.hincrby(store.keys("schedules")["slots"], name, -120_000)
    processes.start("service")
    scheduler = processes.start("scheduler")
    for name in ("service", "scheduler"):
        await processes.ready(name)
    metadata = bearer(role="admin")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{processes.told['GRPC_PORT']}") as channel:
        schedules, caller = ScheduleServiceStub(channel), Caller(channel, metadata)

        async def fired(name: str) -> bool:
            answer = await schedules.ListScheduleRuns(ListScheduleRunsRequest(name=name), metadata=metadata)
            return bool(answer.runs)

        async def told() -> bool:
            checks = {one.name: one for one in (await caller.jobs.CheckHealth(CheckHealthRequest())).checks}
            found = checks["scheduler"]
            return found.status == "degraded" and found.reason.startswith("schedule middle cannot fire: ")

        for name in ("a-first", "z-last"):
            await eventually(partial(fired, name), what=f"{name} fires")
        await eventually(told, what="health names the schedule alone: the scheduler itself reports")
        assert not await fired("middle")
        listed = (await schedules.ListSchedules(ListSchedulesRequest(), metadata=metadata)).schedules
        assert [one.name for one in listed if one.error] == ["middle"]

    def measured() -> bool:
        return processes.page("service").value("qjobs_schedule_broken", schedule="middle") == 1

    await eventually(measured, what="the metric")
    assert time.time() - processes.page("scheduler").value("qjobs_scheduler_last_look_timestamp_seconds") < 30
    assert scheduler.poll() is None
    assert processes.log("scheduler").read_text().count('"schedule_cannot_fire"') == 1, "told once"
    await store.close()
