"""Those who wait for a job, or look at it live: to its end, or until they lose interest."""

import asyncio
from typing import Any

import grpc
from qcollector.jobs.v1.job_queries_pb2 import WatchJobRequest
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub

from client.handle import JobFailedError, JobHandle
from tests.soak.actions.enqueues import begun
from tests.soak.callers import Caller, action

PATIENCE = 5.0
"""Seconds that a watcher stays at most."""


async def _waited(caller: Caller, job: JobHandle, seconds: float) -> None:
    """Its end, whatever that is; also one that was forgotten meanwhile."""
    try:
        with caller.bearing(grpc.StatusCode.NOT_FOUND):
            await job.wait(seconds)
    except (JobFailedError, TimeoutError):
        pass


@action(6)
async def waits(caller: Caller) -> None:
    await _waited(caller, await begun(caller), PATIENCE)


@action(4)
async def a_long_poll_that_is_abandoned(caller: Caller) -> None:
    job = await begun(caller, delay=600_000)
    path = f"queue/test:work/jobs/{job.job_id}?waitSeconds=30"
    try:
        async with asyncio.timeout(caller.chance.uniform(0, 0.3)):
            await caller.call("GET", path, refusals={404})
    except TimeoutError:
        pass
    with caller.bearing(grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND):
        await job.cancel()


@action(10)
async def watches(caller: Caller) -> None:
    """From one to all of the events. Then the stream is broken off, or has ended."""
    job = await begun(caller, delay=caller.chance.choice([0, 0, 200]))
    await _watch(caller, job, caller.chance.choice([1, 2, 1000]))


@action(6)
async def watches_what_has_ended(caller: Caller) -> None:
    job = await begun(caller)
    await _waited(caller, job, PATIENCE)
    await _watch(caller, job, 1000)


async def _watch(caller: Caller, job: JobHandle, events: int) -> None:
    connection = caller.jobs._connection
    stub: Any = JobServiceStub(connection.channel)
    stream = stub.WatchJob(
        WatchJobRequest(queue_name=job.queue, job_id=job.job_id), metadata=connection.metadata, timeout=PATIENCE
    )
    try:
        async for event in stream:
            events -= 1
            if not events or event.HasField("end"):
                break
    except grpc.aio.AioRpcError as error:
        if error.code() not in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DEADLINE_EXCEEDED}:
            raise
    finally:
        stream.cancel()


@action(5)
async def watches_as_a_browser(caller: Caller) -> None:
    """Server-sent events; the page is closed at some moment."""
    job = await begun(caller)
    await _listen(caller, f"queue/test:work/jobs/{job.job_id}/events", caller.chance.uniform(0.05, 1.5))


@action(2)
async def watches_queues(caller: Caller) -> None:
    await _listen(caller, "queue/events", caller.chance.uniform(0.1, 2))


async def _listen(caller: Caller, path: str, seconds: float) -> None:
    try:
        async with (
            asyncio.timeout(seconds),
            caller.rest.get(f"/api/v1/{path}", headers={"accept": "text/event-stream"}) as answer,
        ):
            assert answer.status in {200, 404}, await answer.text()
            async for _ in answer.content:
                pass
    except TimeoutError:
        pass


@action(1)
async def many_watch_one(caller: Caller) -> None:
    job = await begun(caller, delay=100)
    await asyncio.gather(*(_watch(caller, job, caller.chance.choice([1, 1000])) for _ in range(20)))
