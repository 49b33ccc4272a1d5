"""JobService: queues, their figures, and what operators do with them."""

from typing import Final

import structlog
from qcollector.jobs.v1.queue_pb2 import QueueStats
from qcollector.jobs.v1.queue_requests_pb2 import (
    CleanQueueRequest,
    CleanQueueResponse,
    GetQueueStatsRequest,
    GetQueueStatsResponse,
    ListQueueStatsRequest,
    ListQueueStatsResponse,
    PauseQueueRequest,
    PauseQueueResponse,
    RemovedCounts,
    ResumeQueueRequest,
    ResumeQueueResponse,
    UpdateQueueRequest,
    UpdateQueueResponse,
)

from contract.errors import FieldProblem, RequestInvalidError
from service.dependencies import Context, Servicer
from service.interceptor.call import caller
from service.pagination import Paging
from service.views import queue_view

log = structlog.get_logger()

DAY_MS: Final = 24 * 60 * 60 * 1000
QUEUES: Final[Paging[str]] = Paging("queues", str, usual=1000, most=1000)


class QueueCalls(Servicer):
    async def ListQueueStats(self, request: ListQueueStatsRequest, _context: Context) -> ListQueueStatsResponse:
        names, next_token = QUEUES.page(sorted(self.deps.catalog.queues), request.page_size, request.page_token)
        queues = await self.deps.inspection.stats(names)
        return ListQueueStatsResponse(queues=[queue_view(queue) for queue in queues], next_page_token=next_token)

    async def GetQueueStats(self, request: GetQueueStatsRequest, _context: Context) -> GetQueueStatsResponse:
        return GetQueueStatsResponse(stats=await self._stats(request.queue_name))

    async def PauseQueue(self, request: PauseQueueRequest, _context: Context) -> PauseQueueResponse:
        queue = self.queue(request.queue_name)
        await self.deps.steering.pause(queue, caller().proto(), request.reason)
        _audit("queue_paused", queue, request.reason)
        return PauseQueueResponse(queue_name=request.queue_name, paused=True)

    async def ResumeQueue(self, request: ResumeQueueRequest, _context: Context) -> ResumeQueueResponse:
        queue = self.queue(request.queue_name)
        await self.deps.steering.resume(queue)
        _audit("queue_resumed", queue, request.reason)
        return ResumeQueueResponse(queue_name=request.queue_name, paused=False)

    async def CleanQueue(self, request: CleanQueueRequest, _context: Context) -> CleanQueueResponse:
        grace = int(request.grace) if request.HasField("grace") else DAY_MS
        removed = await self.deps.steering.clean(self.queue(request.queue_name), grace)
        counts = RemovedCounts(**{state.name.lower(): count for state, count in removed.items()})
        return CleanQueueResponse(removed=counts)

    async def UpdateQueue(self, request: UpdateQueueRequest, _context: Context) -> UpdateQueueResponse:
        queue = self.queue(request.queue_name)
        if request.rate.max and not request.rate.period_ms:
            raise RequestInvalidError(
                [FieldProblem("rate.periodMs", "required", "set the period in milliseconds that `max` counts in")]
            )
        await self.deps.steering.limit(
            queue,
            max_active=request.max_active if request.HasField("max_active") else None,
            rate=(request.rate.max, request.rate.period_ms) if request.HasField("rate") else None,
            etag=request.etag,
        )
        _audit("queue_limited", queue, request.reason)
        return UpdateQueueResponse(stats=await self._stats(queue))

    async def _stats(self, name: str) -> QueueStats:
        (queue,) = await self.deps.inspection.stats([self.queue(name)])
        return queue_view(queue)


def _audit(event: str, queue: str, reason: str) -> None:
    log.info(event, audit=True, caller=caller().id, queue=queue, reason=reason)
