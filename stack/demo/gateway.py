"""How the demonstration reaches the stack: gRPC at the service's port, REST and server-sent events through Envoy."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from google.protobuf import json_format
from grpc import aio
from qcollector.jobs.v1.job_queries_pb2 import WatchJobRequest, WatchJobResponse
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.processor_service_pb2_grpc import ProcessorServiceStub
from qcollector.jobs.v1.queue_pb2 import QueueStats
from qcollector.jobs.v1.queue_requests_pb2 import ListQueueStatsRequest

from base.settings import Settings
from stack.ports import reachable


@dataclass(frozen=True)
class Enqueued:
    """A job that a sample started."""

    queue: str
    job_id: str


class Gateway:
    """Both ways in, with one caller's token."""

    def __init__(self, channel: aio.Channel, session: aiohttp.ClientSession, rest: str, token: str) -> None:
        self.metadata = (("authorization", f"Bearer {token}"),)
        self._rest = rest
        self.jobs = JobServiceStub(channel)
        self.processors = ProcessorServiceStub(channel)
        self._session = session

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Settings, token: str) -> AsyncIterator[Self]:
        host = reachable(settings.bind_host)
        async with (
            aio.insecure_channel(f"{host}:{settings.grpc_port}") as channel,
            aiohttp.ClientSession(
                headers={"authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            ) as session,
        ):
            yield cls(channel, session, f"http://{host}:{settings.rest_port}/api/v1", token)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Posts JSON. Raises aiohttp.ClientError, with what the answer said, where it is refused."""
        async with self._session.post(f"{self._rest}/{path}", json=body) as answer:
            if not answer.ok:
                raise aiohttp.ClientError(f"POST {path}: {answer.status} {await answer.text()}")
            content: dict[str, Any] = await answer.json()
            return content

    async def watch(self, job: Enqueued) -> AsyncIterator[WatchJobResponse]:
        """Every change of a job to its end, over gRPC."""
        request = WatchJobRequest(queue_name=job.queue, job_id=job.job_id)
        async for event in self.jobs.WatchJob(request, metadata=self.metadata):
            yield event

    async def watch_events(self, job: Enqueued) -> AsyncIterator[WatchJobResponse]:
        """The same as server-sent events."""
        address = f"{self._rest}/queue/{job.queue}/jobs/{job.job_id}/events"
        async with self._session.get(address, raise_for_status=True) as answer:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    yield json_format.ParseDict(json.loads(line[6:]), WatchJobResponse())

    async def stats(self) -> list[QueueStats]:
        """All queues."""
        answer = await self.jobs.ListQueueStats(ListQueueStatsRequest(), metadata=self.metadata)
        return list(answer.queues)
