"""JobService: the streams that follow a job, and the queues."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from qcollector.jobs.v1.job_queries_pb2 import WatchJobRequest, WatchJobResponse
from qcollector.jobs.v1.queue_requests_pb2 import WatchQueuesRequest, WatchQueuesResponse

from service.event_views import event_view
from service.parts import Calls, Context
from service.times import timestamp
from service.views import queue_view

HEARTBEAT_SECONDS: Final = 15
"""Below the idle time after which proxies cut a stream."""


class WatchCalls(Calls):
    async def WatchJob(self, request: WatchJobRequest, _context: Context) -> AsyncIterator[WatchJobResponse]:
        await self.own_job(request.queue_name, request.job_id)
        events = self.parts.events.watch(
            request.queue_name, request.job_id, request.after_sequence, heartbeat=HEARTBEAT_SECONDS
        )
        async with aclosing(events):
            async for event in events:
                yield event_view(event, self.parts.catalog)

    async def WatchQueues(self, _request: WatchQueuesRequest, _context: Context) -> AsyncIterator[WatchQueuesResponse]:
        async with self.parts.queue_feed.subscribe() as watcher:
            while True:
                changes = await watcher.take(HEARTBEAT_SECONDS)
                queues = [queue_view(queue) for queue in changes.queues]
                yield WatchQueuesResponse(queues=queues, time=timestamp(changes.time))
