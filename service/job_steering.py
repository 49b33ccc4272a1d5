"""JobService: what is done to jobs, one by one or by the thousand."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from qcollector.jobs.v1.job_service_pb2 import (
    BatchCancelJobsRequest,
    BatchCancelJobsResponse,
    BatchDeleteJobsRequest,
    BatchDeleteJobsResponse,
    BatchJobFailure,
    BatchPromoteJobsRequest,
    BatchPromoteJobsResponse,
    BatchRetryJobsRequest,
    BatchRetryJobsResponse,
    CancelJobRequest,
    CancelJobResponse,
    DeleteJobRequest,
    DeleteJobResponse,
    PromoteJobRequest,
    PromoteJobResponse,
    RetryJobRequest,
    RetryJobResponse,
)

from engine.actions import CANCEL, DELETE, PROMOTE, RETRY
from engine.bulk import BulkResult
from engine.errors import FieldProblem, RequestInvalidError
from engine.jobs import JobQuery
from service.filters import job_query
from service.parts import Calls, Context
from service.status import status_of
from service.views import job_view

BatchRequest = BatchCancelJobsRequest | BatchRetryJobsRequest | BatchDeleteJobsRequest | BatchPromoteJobsRequest


class SteeringCalls(Calls):
    async def CancelJob(self, request: CancelJobRequest, _context: Context) -> CancelJobResponse:
        await self.own_job(request.queue_name, request.job_id)
        record = await self.parts.steering.cancel(request.queue_name, request.job_id, request.reason)
        return CancelJobResponse(job=job_view(record, self.parts.catalog))

    async def RetryJob(self, request: RetryJobRequest, _context: Context) -> RetryJobResponse:
        record = await self.parts.steering.retry(self.queue(request.queue_name), request.job_id)
        return RetryJobResponse(job=job_view(record, self.parts.catalog))

    async def PromoteJob(self, request: PromoteJobRequest, _context: Context) -> PromoteJobResponse:
        record = await self.parts.steering.promote(self.queue(request.queue_name), request.job_id)
        return PromoteJobResponse(job=job_view(record, self.parts.catalog))

    async def DeleteJob(self, request: DeleteJobRequest, _context: Context) -> DeleteJobResponse:
        await self.parts.steering.delete(self.queue(request.queue_name), request.job_id)
        return DeleteJobResponse()

    async def BatchCancelJobs(self, request: BatchCancelJobsRequest, _context: Context) -> BatchCancelJobsResponse:
        queue, names = self._chosen(request)
        result = await self.parts.steering.change_many(CANCEL, queue, names, validate_only=request.validate_only)
        return _answer(BatchCancelJobsResponse(), result)

    async def BatchRetryJobs(self, request: BatchRetryJobsRequest, _context: Context) -> BatchRetryJobsResponse:
        queue, names = self._chosen(request)
        result = await self.parts.steering.change_many(RETRY, queue, names, validate_only=request.validate_only)
        return _answer(BatchRetryJobsResponse(), result)

    async def BatchDeleteJobs(self, request: BatchDeleteJobsRequest, _context: Context) -> BatchDeleteJobsResponse:
        queue, names = self._chosen(request)
        result = await self.parts.steering.change_many(DELETE, queue, names, validate_only=request.validate_only)
        return _answer(BatchDeleteJobsResponse(), result)

    async def BatchPromoteJobs(self, request: BatchPromoteJobsRequest, _context: Context) -> BatchPromoteJobsResponse:
        queue, names = self._chosen(request)
        result = await self.parts.steering.change_many(PROMOTE, queue, names, validate_only=request.validate_only)
        return _answer(BatchPromoteJobsResponse(), result)

    def _chosen(self, request: BatchRequest) -> tuple[str, Sequence[str] | JobQuery]:
        """The queue, and the jobs by ids or by a query. Raises RequestInvalidError unless it is one of the two."""
        queue = self.queue(request.queue_name)
        if request.HasField("filter") == bool(request.job_ids):
            said = (
                "set filter or jobIds, not both" if request.job_ids else "set filter (an empty one means all) or jobIds"
            )
            raise RequestInvalidError([FieldProblem("filter", "one_of", said)])
        if request.job_ids:
            return queue, request.job_ids
        return queue, job_query(request.filter, queue, self.parts.catalog, request.filter.created_by, "filter.")


class _BatchResponse(Protocol):
    matched: int
    changed: int
    more: bool

    @property
    def failures(self) -> "_Failures": ...


class _Failures(Protocol):
    def append(self, value: BatchJobFailure, /) -> None: ...


R = TypeVar("R", bound=_BatchResponse)


def _answer(response: R, result: BulkResult) -> R:
    response.matched = result.matched
    response.changed = result.changed
    response.more = bool(result.next_token)
    for job_id, error in result.failures:
        response.failures.append(BatchJobFailure(job_id=job_id, error=status_of(error)))
    return response
