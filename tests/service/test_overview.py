"""Health and the overview: what a service says of itself, its store, workers and queues."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_actions_pb2 import DeleteJobRequest
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest, WatchJobRequest
from qcollector.jobs.v1.options_pb2 import Role
from qcollector.jobs.v1.overview_pb2 import (
    CheckEmailHealthRequest,
    CheckHealthRequest,
    GetDashboardRequest,
    ListJobTypesRequest,
    ListWorkersRequest,
)
from qcollector.jobs.v1.queue_pb2 import Worker as WorkerReport
from qcollector.jobs.v1.queue_pb2 import WorkerQueue
from qcollector.jobs.v1.queue_requests_pb2 import ListQueueStatsRequest
from testjobs.v1.testjobs_pb2 import NoopResult

from base.settings import Settings
from engine import presence
from engine.presence import SCHEDULERS, Presence
from engine.store import Store
from tests.conftest import ValkeyServer, eventually

from .conftest import WORK, Noop, Running, Worker, custom, refused, serving


async def checked(service: Running, method: str = "CheckHealth") -> tuple[Any, dict[str, Any], str]:
    """The answer, its checks by name, and the HTTP status that a gateway is told."""
    request = CheckHealthRequest() if method == "CheckHealth" else CheckEmailHealthRequest()
    call = getattr(service.user.jobs, method)(request)
    answer = await call
    told = dict(await call.initial_metadata()).get("x-http-status", "")
    return answer, {check.name: check for check in answer.checks}, str(told)


@pytest.fixture
async def well(settings: Settings, store: Store) -> AsyncIterator[Running]:
    """With a scheduler, and without mail: all is healthy."""
    await Presence(store, SCHEDULERS).report(WorkerReport(id="scheduler"))
    async with serving(settings, enable_email_service=False) as started:
        yield started


async def test_a_storage_root_that_is_gone_degrades(well: Running) -> None:
    shutil.rmtree(well.settings.root("export"))
    answer, checks, told = await checked(well)
    assert (answer.status, checks["storage"].status, told) == ("degraded", "degraded", "")
    assert "EXPORT_DIR" in answer.reason


async def test_jobs_that_no_worker_takes_degrade_unless_their_queue_is_paused(
    well: Running, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "UNSERVED_SECONDS", 0.05)
    await well.app.enqueue(Noop())

    async def degraded() -> bool:
        answer, checks, _ = await checked(well)
        return answer.status == "degraded" and WORK in checks["workers"].reason

    await eventually(degraded)
    report = WorkerReport(id="w", queues=[WorkerQueue(queue_name=WORK, concurrency=1)])
    await Presence(store).report(report)
    assert (await checked(well))[0].status == "healthy"
    report.draining = True
    await Presence(store).report(report)
    assert (await checked(well))[0].status == "degraded"


async def test_switched_off_queues_are_said_to_be(settings: Settings) -> None:
    async with serving(settings, enable_queue_service=False) as service:
        answer, checks, told = await checked(service)
        assert (checks["workers"].status, told) == ("disabled", "")
        assert "ENABLE_QUEUE_SERVICE" in answer.reason


async def test_the_service_starts_without_its_store_says_so_and_recovers(
    settings: Settings, own_valkey: ValkeyServer
) -> None:
    own_valkey.kill()
    async with serving(settings, redis_url=_secret(own_valkey.url)) as service:
        answer, checks, told = await checked(service)
        assert (answer.status, checks["store"].status, told) == ("unhealthy", "unhealthy", "503")
        assert "store" in answer.reason
        calls = {
            "EnqueueJob": EnqueueJobRequest(payload=custom(Noop())),
            "GetJob": GetJobRequest(queue_name=WORK, job_id="x"),
            "WatchJob": WatchJobRequest(queue_name=WORK, job_id="x"),
            "ListQueueStats": ListQueueStatsRequest(),
            "GetDashboard": GetDashboardRequest(),
            "ListWorkers": ListWorkersRequest(),
        }
        for method, request in calls.items():
            refusal = await refused(getattr(service.admin.jobs, method)(request))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"), method
            assert refusal.retry_after, method
            assert str(own_valkey.port) not in str(refusal.status)
        assert (await service.admin.jobs.ListJobTypes(ListJobTypesRequest())).job_types
        own_valkey.start()
        job_id = await service.app.enqueue(Noop())
        assert (await checked(service))[1]["store"].status == "healthy"
        own_valkey.kill()
        assert (await refused(service.app.jobs.GetJob(calls["GetJob"]))).reason == "STORE_UNAVAILABLE"
        own_valkey.start()
        place = GetJobRequest(queue_name=WORK, job_id=job_id)
        assert (await service.app.jobs.GetJob(place)).job.id == job_id


async def test_a_watcher_that_a_restart_of_the_store_cuts_off_resumes_and_gets_the_end(
    settings: Settings, own_valkey: ValkeyServer, catalog: Any
) -> None:
    async with serving(settings, redis_url=_secret(own_valkey.url)) as service:
        job_id = await service.app.enqueue(Noop())
        wanted = WatchJobRequest(queue_name=WORK, job_id=job_id)
        stream = service.app.jobs.WatchJob(wanted)
        last = await stream.read()
        own_valkey.kill()
        own_valkey.start()
        store = await Store.open(service.settings)
        await Worker(store, catalog, service.settings).run(NoopResult())
        await store.close()

        async def ended() -> bool:
            nonlocal stream, last
            try:
                while (event := await stream.read()) is not grpc.aio.EOF:
                    last = event
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                wanted.after_sequence = last.sequence
                stream = service.app.jobs.WatchJob(wanted)
                return False
            return True

        await eventually(ended)
        assert (last.end.job.id, last.end.job.progress) == (job_id, 100)


def _secret(url: str) -> Any:
    from pydantic import SecretStr  # noqa: PLC0415

    return SecretStr(url)


async def test_the_dashboard_sums_up_all_queues(well: Running, worker: Worker, store: Store) -> None:
    for reason in ("", "no"):
        await well.app.enqueue(Noop())
        await worker.run(NoopResult(), reason=reason)
    await well.app.enqueue(Noop())
    await well.app.enqueue(Noop(), delay=60_000)
    await _end_and_forget_one(well, worker)
    await Presence(store).report(WorkerReport(id="w"))
    answer = await well.user.jobs.GetDashboard(GetDashboardRequest())
    board = MessageToDict(answer, always_print_fields_with_no_presence=True)
    assert board["overview"] == {
        "totalQueues": len(board["queues"]),
        "totalJobs": 4,
        "waitingJobs": 1,
        "activeJobs": 0,
        "delayedJobs": 1,
        "completedJobs": 1,
        "failedJobs": 1,
        "cancelledJobs": 0,
        "blockedJobs": 0,
        "totalsSinceStart": {"completed": 2.0, "failed": 1.0, "cancelled": 0.0},
    }
    assert board["health"]["status"] == "healthy"
    assert [check["name"] for check in board["health"]["checks"]] == [
        *("store", "workers", "scheduler", "database", "smtp", "storage")
    ]
    assert answer.system.workers == 1
    assert answer.system.store_version.startswith("valkey ")
    assert min(answer.system.memory_bytes, answer.system.store_memory_bytes, answer.system.uptime_seconds) > 0
    assert answer.time.seconds


async def _end_and_forget_one(service: Running, worker: Worker) -> None:
    """A job that counts since the start, and is not held any more."""
    await service.app.enqueue(Noop(), priority=1)
    ended = await worker.run(NoopResult())
    await service.admin.jobs.DeleteJob(DeleteJobRequest(queue_name=WORK, job_id=ended))


async def test_workers_are_listed_as_they_report(service: Running, store: Store) -> None:
    report = WorkerReport(id="w-1", host="h", pid=7, queues=[WorkerQueue(queue_name=WORK, concurrency=5, active=2)])
    await Presence(store).report(report)
    (listed,) = (await service.user.jobs.ListWorkers(ListWorkersRequest())).workers
    assert (listed.id, listed.host, listed.pid, listed.queues[0].active) == ("w-1", "h", 7, 2)
    assert listed.heartbeat_time.seconds


async def test_job_types_tell_their_policy_and_the_shape_of_their_data(service: Running) -> None:
    answer = await service.user.jobs.ListJobTypes(ListJobTypesRequest())
    types = {(job_type.queue_name, job_type.job_type): job_type for job_type in answer.job_types}
    assert list(types) == sorted(types)
    welcome = types["email:send", "welcome"]
    assert (welcome.attempts, welcome.backoff.type, welcome.backoff.delay) == (3, "exponential", 2000)
    assert (welcome.minimum_role, welcome.payload_field, welcome.timeout_ms) == (
        Role.ROLE_SERVICE,
        "email_welcome",
        120_000,
    )
    assert welcome.payload_message == "qcollector.jobs.v1.EmailWelcome"
    schema = MessageToDict(welcome.schema)
    assert "user" in schema["properties"]
    noop = types[WORK, "noop"]
    assert (noop.minimum_role, noop.payload_field) == (Role.ROLE_USER, "custom")
    assert types["test:serial", "serial"].minimum_role == Role.ROLE_ADMIN


def test_the_release_is_known_or_said_to_be_the_source() -> None:
    from base.release import release  # noqa: PLC0415

    version = release()
    assert version == "source" or version in (Path(__file__).parents[2] / "pyproject.toml").read_text()


async def test_lists_come_in_pages_and_too_large_a_page_is_made_smaller(service: Running, store: Store) -> None:
    for number in range(3):
        await Presence(store).report(WorkerReport(id=f"w-{number}"))
    for method, request, items in (
        ("ListWorkers", ListWorkersRequest, "workers"),
        ("ListQueueStats", ListQueueStatsRequest, "queues"),
        ("ListJobTypes", ListJobTypesRequest, "job_types"),
    ):
        call = getattr(service.user.jobs, method)
        whole = list(getattr(await call(request(page_size=2_000_000_000)), items))
        walked: list[Any] = []
        token = ""
        while True:
            answer = await call(request(page_size=2, page_token=token))
            assert len(getattr(answer, items)) <= 2
            walked += getattr(answer, items)
            token = answer.next_page_token
            if not token:
                break
        names = [getattr(one, "id", "") or f"{one.queue_name}/{getattr(one, 'job_type', '')}" for one in walked]
        assert len(names) == len(set(names)) == len(whole) > 2
        refusal = await refused(call(request(page_token="bm9uc2Vuc2U")))
        assert refusal.fields == ["pageToken"]
