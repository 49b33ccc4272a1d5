"""Watches each job in the file IDS to its end: `watch IDS GO`. Writes the file GO once all have their first event."""

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from qcollector.jobs.v1.job_queries_pb2 import WatchJobRequest
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub

from bench.loads import requests

if TYPE_CHECKING:
    from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceAsyncStub


@dataclass
class Seen:
    """What all watchers have seen together."""

    first: int = 0
    ends: int = 0
    ms: list[float] = field(default_factory=list)
    """From the telling of each event to its arrival."""


async def watch(stub: "JobServiceAsyncStub", metadata: tuple[tuple[str, str], ...], job_id: str, seen: Seen) -> None:
    asked = WatchJobRequest(queue_name="test:work", job_id=job_id)
    is_first = True
    async for event in stub.WatchJob(asked, metadata=metadata):
        if is_first:
            seen.first += 1
            is_first = False
        elif event.progress.step:
            seen.ms.append((requests.now_ns() - int(event.progress.step)) / 1e6)
        elif event.HasField("end"):
            seen.ends += 1


async def main(ids: Path, go: Path) -> None:
    names = ids.read_text().split()
    seen, metadata = Seen(), requests.metadata()
    async with requests.channel() as channel, asyncio.TaskGroup() as group:
        stub = JobServiceStub(channel)
        for name in names:
            group.create_task(watch(stub, metadata, name, seen))
        while seen.first < len(names):
            await asyncio.sleep(0.01)
        go.touch()
    seen.ms.sort()
    requests.answer(
        events=len(seen.ms), ends=seen.ends, p50=requests.quantile(seen.ms, 0.5), p99=requests.quantile(seen.ms, 0.99)
    )


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
