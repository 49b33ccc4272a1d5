"""JobService: what is done to many jobs in one call."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import structlog
from google.protobuf.json_format import MessageToDict
from qcollector.jobs.v1.job_bulk_pb2 import (
    BatchCancelJobsRequest,
    BatchCancelJobsResponse,
    BatchDeleteJobsRequest,
    BatchDeleteJobsResponse,
    BatchJobFailure,
    BatchPromoteJobsRequest,
    BatchPromoteJobsResponse,
    BatchRetryJobsRequest,
    BatchRetryJobsResponse,
)
from qcollector.jobs.v1.job_reference_pb2 import JobReference

from contract.errors import FieldProblem, RequestInvalidError
from engine.actions import CANCEL, DELETE, PROMOTE, RETRY, Action
from engine.bulk import BulkResult
from engine.jobs import JobQuery
from service.dependencies import Context, Servicer
from service.filters import job_query
from service.interceptor.call import caller
from service.status import status_of

BatchRequest = BatchCancelJobsRequest | BatchRetryJobsRequest | BatchDeleteJobsRequest | BatchPromoteJobsRequest

log = structlog.get_logger()


class _BatchResponse(Protocol):
    matched: int
    changed: int
    scanned: int
    next_page_token: str

    @property
    def failures(self) -> "_Failures": ...


class _Failures(Protocol):
    def append(self, value: BatchJobFailure, /) -> None: ...


R = TypeVar("R", bound=_BatchResponse)


class BulkCalls(Servicer):
    """Each call that may have changed something writes an audit line: who, what, which jobs, and why."""

    async def BatchCancelJobs(self, request: BatchCancelJobsRequest, _context: Context) -> BatchCancelJobsResponse:
        return await self._change(CANCEL, request, BatchCancelJobsResponse())

    async def BatchRetryJobs(self, request: BatchRetryJobsRequest, _context: Context) -> BatchRetryJobsResponse:
        return await self._change(RETRY, request, BatchRetryJobsResponse())

    async def BatchDeleteJobs(self, request: BatchDeleteJobsRequest, _context: Context) -> BatchDeleteJobsResponse:
        return await self._change(DELETE, request, BatchDeleteJobsResponse())

    async def BatchPromoteJobs(self, request: BatchPromoteJobsRequest, _context: Context) -> BatchPromoteJobsResponse:
        return await self._change(PROMOTE, request, BatchPromoteJobsResponse())

    async def _change(self, action: Action, request: BatchRequest, response: R) -> R:
        queue = self.queue(request.queue_name)
        chosen = self._chosen(request, queue)
        result: BulkResult | None = None
        try:
            result = await self.deps.steering.change_many(
                action,
                queue,
                chosen,
                reason=request.reason,
                token=request.page_token,
                validate_only=request.validate_only,
            )
        finally:
            if not request.validate_only:
                _audit(action, request, result)
        return _answer(response, queue, result)

    def _chosen(self, request: BatchRequest, queue: str) -> Sequence[str] | JobQuery:
        """The jobs, by ids or by a query. Raises RequestInvalidError unless exactly one of the three ways is used."""
        if request.HasField("filter") + bool(request.job_ids) + request.all != 1:
            raise _refused("filter", "one_of", "set exactly one of filter, jobIds, and all: true")
        if request.job_ids:
            if request.page_token:
                raise _refused("pageToken", "one_of", "goes with filter or all alone; all jobIds are done in one call")
            return request.job_ids
        if request.all:
            return JobQuery()
        query = job_query(request.filter, queue, self.deps.catalog, request.filter.created_by, "filter.")
        if query == JobQuery():
            raise _refused("filter", "not_empty", "set at least one condition, or all: true")
        return query


def _answer(response: R, queue: str, result: BulkResult) -> R:
    response.matched = result.matched
    response.changed = result.changed
    response.scanned = result.scanned
    response.next_page_token = result.next_token
    for job_id, error in result.failures:
        job = JobReference(queue_name=queue, job_id=job_id)
        response.failures.append(BatchJobFailure(job=job, error=status_of(error)))
    return response


def _refused(field: str, rule: str, said: str) -> RequestInvalidError:
    return RequestInvalidError([FieldProblem(field, rule, said)])


def _audit(action: Action, request: BatchRequest, result: BulkResult | None) -> None:
    """Writes the audit line. Without a result the call broke off, and may have changed some of the jobs."""
    log.info(
        "bulk_action",
        audit=True,
        action=action.deed,
        caller=caller().id,
        queue=request.queue_name,
        filter=MessageToDict(request.filter) if request.HasField("filter") else None,
        job_ids=list(request.job_ids),
        all=request.all,
        reason=request.reason,
        changed=None if result is None else result.changed,
        finished=result is not None and not result.next_token,
    )
