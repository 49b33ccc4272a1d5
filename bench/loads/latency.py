"""From enqueue to start on an idle system: `latency engine|grpc JOBS FILE`, one job after the other.

The handler writes the time at which it started into the file, which this process has mapped: both read one clock.
"""

import asyncio
import mmap
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from testjobs.v1.testjobs_pb2 import Mark

from bench.loads import requests
from bench.loads.engine import Enqueuer
from engine.store import Store

WARM: Final = 50
LOOK_SECONDS: Final = 0.001
"""The least that uvloop waits: below that it makes no wait at all, and this process would keep a processor busy."""
REST_SECONDS: Final = 0.003
"""Between two jobs, so that each finds everything idle."""

Enqueue = Callable[[Mark], Awaitable[object]]


@asynccontextmanager
async def by_engine() -> AsyncIterator[Enqueue]:
    store = await Store.open(requests.SETTINGS)
    enqueuer = Enqueuer(store)
    try:
        yield lambda payload: enqueuer.intake.enqueue(enqueuer.job(payload))
    finally:
        await store.close()


@asynccontextmanager
async def by_grpc() -> AsyncIterator[Enqueue]:
    metadata = requests.metadata()
    async with requests.channel() as channel:
        stub = JobServiceStub(channel)
        yield lambda payload: stub.EnqueueJob(requests.request(payload), metadata=metadata)


async def main(way: str, jobs: int, file: str) -> None:
    with Path(file).open("r+b") as opened:
        marks = mmap.mmap(opened.fileno(), 0)
    ms = []
    async with by_engine() if way == "engine" else by_grpc() as enqueue:
        for place in range(WARM + jobs):
            payload = requests.mark(file, place)
            began = requests.now_ns()
            await enqueue(payload)
            while not (started := requests.marked_at(marks, place)):
                await asyncio.sleep(LOOK_SECONDS)
            ms.append((started - began) / 1e6)
            await asyncio.sleep(REST_SECONDS)
    requests.answer(ms=ms[WARM:])


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
