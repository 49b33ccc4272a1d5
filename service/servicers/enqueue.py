"""JobService: the calls that enqueue."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

from grpc import StatusCode
from qcollector.jobs.v1.enqueue_pb2 import (
    BatchEnqueueJobsRequest,
    BatchEnqueueJobsResponse,
    BatchEnqueueResult,
    EnqueueJobRequest,
    EnqueueJobResponse,
    StreamEnqueueJobsRequest,
    StreamEnqueueJobsResponse,
)

from contract.errors import JobServiceError
from service.batching import ReadAhead
from service.dependencies import Context, Servicer
from service.enqueueing import Accepted, Outcome, enqueued_view
from service.interceptor.call import current_call
from service.status import code_of, status_of

Result = TypeVar("Result", BatchEnqueueResult, StreamEnqueueJobsResponse)

_PASSING: Final = (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED)
"""What a call fails with whose repetition may succeed; the first is the graver."""


class EnqueueCalls(Servicer):
    async def EnqueueJob(self, request: EnqueueJobRequest, _context: Context) -> EnqueueJobResponse:
        if request.validate_only:
            return enqueued_view(EnqueueJobResponse, Accepted(await self.deps.enqueuer.admit(request)))
        return enqueued_view(EnqueueJobResponse, await self.deps.enqueuer.enqueue(request))

    async def BatchEnqueueJobs(self, request: BatchEnqueueJobsRequest, _context: Context) -> BatchEnqueueJobsResponse:
        outcomes = await self.deps.enqueuer.enqueue_each(request.jobs, validate_only=request.validate_only)
        if not request.validate_only:
            _raise_if_none_could_be_stored(outcomes)
        return BatchEnqueueJobsResponse(results=[_result(BatchEnqueueResult, outcome) for outcome in outcomes])

    async def StreamEnqueueJobs(
        self, request_iterator: AsyncIterator[StreamEnqueueJobsRequest], _context: Context
    ) -> AsyncIterator[StreamEnqueueJobsResponse]:
        async for batch in ReadAhead(request_iterator, current_call().stopping).batches():
            for outcome in await self.deps.enqueuer.enqueue_each([request.job for request in batch]):
                yield _result(StreamEnqueueJobsResponse, outcome)


def _raise_if_none_could_be_stored(outcomes: Sequence[Outcome]) -> None:
    """A batch of which nothing is stored because the store is away or full is no success, whatever else was wrong with it."""
    if any(isinstance(outcome, Accepted) and outcome.enqueued for outcome in outcomes):
        return
    refusals = [outcome for outcome in outcomes if isinstance(outcome, JobServiceError)]
    for code in _PASSING:
        for refusal in refusals:
            if code_of(refusal) is code:
                raise refusal


def _result(kind: type[Result], outcome: Outcome) -> Result:
    if isinstance(outcome, JobServiceError):
        return kind(error=status_of(outcome))
    return enqueued_view(kind, outcome)
