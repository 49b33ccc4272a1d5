"""Enqueues over gRPC as long as the workers keep up: `flood JOBS`."""

import asyncio
import sys
from typing import TYPE_CHECKING, Final

import uvloop
from qcollector.jobs.v1.enqueue_pb2 import BatchEnqueueJobsRequest
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest

from bench.loads import requests
from bench.loads.enqueue import BATCH

if TYPE_CHECKING:
    from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceAsyncStub

BACKLOG: Final = 20_000


async def main(jobs: int) -> None:
    metadata = requests.metadata()
    asked = BatchEnqueueJobsRequest(jobs=[requests.request(requests.noop())] * BATCH)
    async with requests.channel() as channel:
        stub = JobServiceStub(channel)
        for _ in range(0, jobs, BATCH):
            response = await stub.BatchEnqueueJobs(asked, metadata=metadata)
            assert all(result.job_id for result in response.results)
            while await backlog(stub, metadata) > BACKLOG:
                await asyncio.sleep(0.1)
    requests.answer(jobs=jobs)


async def backlog(stub: "JobServiceAsyncStub", metadata: tuple[tuple[str, str], ...]) -> float:
    response = await stub.GetQueueStats(GetQueueStatsRequest(queue_name="test:work"), metadata=metadata)
    return response.stats.counts.waiting


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
