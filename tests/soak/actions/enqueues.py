"""Every way to enqueue a job, and jobs of every course."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from qcollector.jobs.v1.enqueue_pb2 import (
    BatchEnqueueJobsRequest,
    EnqueueJobRequest,
    StreamEnqueueJobsRequest,
)
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.payload_pb2 import JobPayload
from testjobs.v1.testjobs_pb2 import Noop, Script, Secret, SecretPart, Step

from client.handle import JobHandle
from families.database.sample_data.ids import form_id
from tests.soak.callers import Caller, action

WORK = "test:work"
FORM = str(form_id(1))
USER = {"id": "1", "email": "user@example.com", "username": "ada"}


def script(caller: Caller) -> Script:
    """A job of one of the courses that a job can take."""
    chance = caller.chance
    courses: list[list[Step]] = [
        [Step(progress=30), Step(log="half of it is done"), Step(sleep=chance.randint(1, 300)), Step(answer=2000)],
        [Step(fail_times=1), Step(progress=50)],
        [Step(fail_for_good="it was told to")],
        [Step(retry_after=50), Step(log="again")],
        [Step(snooze=50), Step(checkpoint="so far")],
        [Step(checkpoint="half"), Step(fail_times=2), Step(answer=10)],
        [Step(block=chance.randint(1, 60))],
        [Step(log=f"line {number}") for number in range(20)],
    ]
    return Script(steps=chance.choice(courses))


async def begun(caller: Caller, **options: Any) -> JobHandle:
    """A job that somebody may watch."""
    return await caller.jobs.enqueue(script(caller), request_id=caller.request_id(), **options)


@action(8)
async def one_typed(caller: Caller) -> None:
    options: list[dict[str, Any]] = [
        {},
        {"priority": caller.chance.randint(-9, 9)},
        {"delay": caller.chance.randint(1, 800)},
        {"job_id": caller.job_id()},
        {"attempts": 1},
    ]
    await begun(caller, **caller.chance.choice(options))


@action(3)
async def one_secret(caller: Caller) -> None:
    secret = Secret(token="geheim", name="x", parts=[SecretPart(pin="1")], fail_times=caller.chance.randint(0, 2))
    await caller.jobs.enqueue(secret, request_id=caller.request_id())


@action(6)
async def one_by_rest(caller: Caller) -> None:
    body = {"queueName": WORK, "jobType": "noop", "data": {"pad": "x" * caller.chance.randint(0, 2000)}}
    options: dict[str, Any] = {"priority": 3, "jobId": caller.job_id()} if caller.chance.random() < 0.3 else {}
    await caller.call("POST", "queue/jobs", {**body, "options": options, "requestId": caller.request_id()})


@action(2)
async def the_same_again(caller: Caller) -> None:
    body = {"queueName": WORK, "jobType": "noop", "data": {}, "requestId": caller.request_id()}
    first, second = [await caller.call("POST", "queue/jobs", body) for _ in range(2)]
    assert first["jobId"] == second["jobId"], (first, second)


@action(2)
async def a_batch_by_rest(caller: Caller) -> None:
    row = {"queueName": WORK, "jobType": "noop", "data": {"pad": "y" * 100}}
    rows = [{**row, "requestId": caller.request_id()} for _ in range(20)]
    await caller.call("POST", "queue/jobs:batch", {"jobs": [*rows, {"queueName": "no:such", "jobType": "noop"}]})


def _noops(caller: Caller, count: int) -> list[EnqueueJobRequest]:
    payload = JobPayload()
    payload.custom.Pack(Noop())
    return [
        EnqueueJobRequest(payload=payload, options=JobOptions(delay=number * 10), request_id=caller.request_id())
        for number in range(count)
    ]


@action(2)
async def a_batch(caller: Caller) -> None:
    connection = caller.jobs._connection
    stub: Any = JobServiceStub(connection.channel)
    await stub.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=_noops(caller, 30)), metadata=connection.metadata)


@action(2)
async def a_stream(caller: Caller) -> None:
    connection = caller.jobs._connection
    stub: Any = JobServiceStub(connection.channel)
    leaves_early = caller.chance.random() < 0.3

    async def requests() -> AsyncIterator[StreamEnqueueJobsRequest]:
        for job in _noops(caller, 10):
            yield StreamEnqueueJobsRequest(job=job)

    stream = stub.StreamEnqueueJobs(requests(), metadata=connection.metadata)
    async for _ in stream:
        if leaves_early:
            stream.cancel()
            return


@action(2)
async def one_abandoned(caller: Caller) -> None:
    """Nobody hears whether it was enqueued."""
    try:
        async with asyncio.timeout(caller.chance.uniform(0, 0.02)):
            await caller.call("POST", "queue/jobs", {"queueName": WORK, "jobType": "noop", "data": {}})
    except TimeoutError:
        pass


@action(2)
async def refused(caller: Caller) -> None:
    await caller.call("POST", "queue/jobs", {"queueName": WORK, "jobType": "script", "data": {}}, refusals={400})
    with caller.bearing(grpc.StatusCode.INVALID_ARGUMENT):
        await caller.jobs.enqueue(Script())


@action(3)
async def a_mail(caller: Caller) -> None:
    await caller.jobs.send_welcome_email(USER, request_id=caller.request_id())


@action(1)
async def a_mail_with_a_secret(caller: Caller) -> None:
    await caller.jobs.send_password_reset_email(USER, "geheim", "2099-01-01T00:00:00Z", request_id=caller.request_id())


@action(1)
async def a_notification_of_many(caller: Caller) -> None:
    await caller.jobs.send_submission_notification(
        {"id": "1"},
        {"id": FORM, "title": "Inspection"},
        [f"office{number}@example.com" for number in range(3)],
        request_id=caller.request_id(),
    )


@action(1)
async def one_alone(caller: Caller) -> None:
    body = {"queueName": "test:serial", "jobType": "serial", "data": {"sleep": 20}, "requestId": caller.request_id()}
    await caller.call("POST", "queue/jobs", body)


@action(0.5)
async def statistics(caller: Caller) -> None:
    await caller.jobs.calculate_form_stats(FORM, request_id=caller.request_id())
    await caller.call("GET", f"analytics/form-stats/{FORM}", refusals={404})


@action(0.5)
async def a_health_check(caller: Caller) -> None:
    body = {"queueName": "system:cleanup", "jobType": "health-check", "data": {"services": ["queue"]}}
    await caller.call("POST", "queue/jobs", {**body, "requestId": caller.request_id()})
