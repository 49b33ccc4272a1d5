"""JobService: what is done to single jobs."""

import structlog
from qcollector.jobs.v1.job_actions_pb2 import (
    CancelJobRequest,
    CancelJobResponse,
    DeleteJobRequest,
    DeleteJobResponse,
    PromoteJobRequest,
    PromoteJobResponse,
    RetryJobRequest,
    RetryJobResponse,
)

from engine.actions import CANCEL, DELETE, PROMOTE, RETRY, Action
from service.call import caller
from service.parts import Calls, Context
from service.views import job_view

Request = CancelJobRequest | RetryJobRequest | PromoteJobRequest | DeleteJobRequest

log = structlog.get_logger()


class SteeringCalls(Calls):
    """Each call leaves a line for the audit: who, what, and why."""

    async def CancelJob(self, request: CancelJobRequest, _context: Context) -> CancelJobResponse:
        await self.own_job(request.queue_name, request.job_id)
        record = await self.parts.steering.cancel(request.queue_name, request.job_id, request.reason)
        _audit(CANCEL, request)
        return CancelJobResponse(job=job_view(record, self.parts.catalog))

    async def RetryJob(self, request: RetryJobRequest, _context: Context) -> RetryJobResponse:
        record = await self.parts.steering.retry(self.queue(request.queue_name), request.job_id, request.reason)
        _audit(RETRY, request)
        return RetryJobResponse(job=job_view(record, self.parts.catalog))

    async def PromoteJob(self, request: PromoteJobRequest, _context: Context) -> PromoteJobResponse:
        record = await self.parts.steering.promote(self.queue(request.queue_name), request.job_id, request.reason)
        _audit(PROMOTE, request)
        return PromoteJobResponse(job=job_view(record, self.parts.catalog))

    async def DeleteJob(self, request: DeleteJobRequest, _context: Context) -> DeleteJobResponse:
        await self.parts.steering.delete(self.queue(request.queue_name), request.job_id, request.reason)
        _audit(DELETE, request)
        return DeleteJobResponse()


def _audit(action: Action, request: Request) -> None:
    log.info(
        "job_action",
        audit=True,
        action=action.deed,
        caller=caller().id,
        queue=request.queue_name,
        job_id=request.job_id,
        reason=request.reason,
    )
