"""Enqueues over gRPC: `enqueue echo|unary WIDTH SECONDS`, `enqueue batch JOBS WIDTH`, `enqueue stream JOBS`."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import uvloop
from grpc import aio
from qcollector.jobs.v1.enqueue_pb2 import BatchEnqueueJobsRequest, EnqueueJobRequest, StreamEnqueueJobsRequest
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub

from bench.echo import METHOD, address
from bench.loads import requests

WARM_SECONDS: Final = 0.5
BATCH: Final = 1000

Call = Callable[[], Awaitable[object]]


async def calls(call: Call, width: int, seconds: float) -> int:
    """Keeps `width` calls in flight; answers how many were made."""
    made = 0
    end = time.perf_counter() + seconds

    async def lane() -> None:
        nonlocal made
        while time.perf_counter() < end:
            await call()
            made += 1

    await asyncio.gather(*(lane() for _ in range(width)))
    return made


async def unary(call: Call, width: int, seconds: float) -> None:
    await calls(call, width, WARM_SECONDS)
    began = time.perf_counter()
    made = await calls(call, width, seconds)
    requests.answer(rate=made / (time.perf_counter() - began))


def enqueue_call(channel: aio.Channel) -> Call:
    stub, metadata, asked = JobServiceStub(channel), requests.metadata(), requests.request(requests.noop())
    return lambda: stub.EnqueueJob(asked, metadata=metadata)


def echo_call(channel: aio.Channel) -> Call:
    say = channel.unary_unary(METHOD, EnqueueJobRequest.SerializeToString, EnqueueJobRequest.FromString)
    metadata, asked = requests.metadata(), requests.request(requests.noop())
    return lambda: say(asked, metadata=metadata)


async def batch(channel: aio.Channel, jobs: int, width: int) -> None:
    stub, metadata = JobServiceStub(channel), requests.metadata()
    asked = BatchEnqueueJobsRequest(jobs=[requests.request(requests.noop())] * BATCH)

    async def lane(count: int) -> None:
        for _ in range(count):
            response = await stub.BatchEnqueueJobs(asked, metadata=metadata)
            assert all(result.job_id for result in response.results)

    await lane(1)
    each = jobs // BATCH // width
    began = time.perf_counter()
    await asyncio.gather(*(lane(each) for _ in range(width)))
    requests.answer(rate=each * width * BATCH / (time.perf_counter() - began))


async def stream(channel: aio.Channel, jobs: int) -> None:
    stub, metadata = JobServiceStub(channel), requests.metadata()
    asked = StreamEnqueueJobsRequest(job=requests.request(requests.noop()))

    async def sent(count: int) -> AsyncIterator[StreamEnqueueJobsRequest]:
        for _ in range(count):
            yield asked

    async def through(count: int) -> int:
        stored = 0
        async for response in stub.StreamEnqueueJobs(sent(count), metadata=metadata):
            assert response.job_id
            stored += 1
        return stored

    await through(BATCH)
    began = time.perf_counter()
    assert await through(jobs) == jobs
    requests.answer(rate=jobs / (time.perf_counter() - began))


async def main(shape: str, *numbers: str) -> None:
    async with aio.insecure_channel(address()) if shape == "echo" else requests.channel() as channel:
        match shape:
            case "unary":
                await unary(enqueue_call(channel), int(numbers[0]), float(numbers[1]))
            case "echo":
                await unary(echo_call(channel), int(numbers[0]), float(numbers[1]))
            case "batch":
                await batch(channel, int(numbers[0]), int(numbers[1]))
            case "stream":
                await stream(channel, int(numbers[0]))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
