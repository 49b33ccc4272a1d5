"""JobService: the calls that enqueue."""

from collections.abc import AsyncIterator
from typing import TypeVar

from qcollector.jobs.v1.job_service_pb2 import (
    BatchEnqueueJobsRequest,
    BatchEnqueueJobsResponse,
    BatchEnqueueResult,
    EnqueueJobRequest,
    EnqueueJobResponse,
    StreamEnqueueJobsRequest,
    StreamEnqueueJobsResponse,
)

from engine.admission import Admitted
from engine.errors import JobServiceError
from engine.jobs import Enqueued
from service.batching import ReadAhead
from service.call import current_call
from service.enqueueing import Outcome
from service.parts import Calls, Context
from service.status import status_of
from service.times import timestamp

Answer = TypeVar("Answer", BatchEnqueueResult, StreamEnqueueJobsResponse)


class EnqueueCalls(Calls):
    async def EnqueueJob(self, request: EnqueueJobRequest, _context: Context) -> EnqueueJobResponse:
        if request.validate_only:
            return _validated(await self.parts.enqueuer.admit(request), request)
        return _stored(*await self.parts.enqueuer.enqueue(request))

    async def BatchEnqueueJobs(self, request: BatchEnqueueJobsRequest, _context: Context) -> BatchEnqueueJobsResponse:
        outcomes = await self.parts.enqueuer.enqueue_each(request.jobs, validate_only=request.validate_only)
        return BatchEnqueueJobsResponse(results=[_answer(BatchEnqueueResult, outcome) for outcome in outcomes])

    async def StreamEnqueueJobs(
        self, request_iterator: AsyncIterator[StreamEnqueueJobsRequest], _context: Context
    ) -> AsyncIterator[StreamEnqueueJobsResponse]:
        async for batch in ReadAhead(request_iterator, current_call().stopping).batches():
            for outcome in await self.parts.enqueuer.enqueue_each([request.job for request in batch]):
                yield _answer(StreamEnqueueJobsResponse, outcome)


def _stored(admitted: Admitted, enqueued: Enqueued) -> EnqueueJobResponse:
    return EnqueueJobResponse(
        job_id=enqueued.id,
        queue_name=admitted.type.queue,
        job_type=admitted.type.type,
        state=enqueued.state.proto,
        duplicate=enqueued.duplicate,
        create_time=timestamp(enqueued.created),
        options=admitted.options,
    )


def _validated(admitted: Admitted, request: EnqueueJobRequest) -> EnqueueJobResponse:
    """The answer for a job that was not stored: it has no id but the caller's own."""
    admitted.options.job_id = request.options.job_id
    return EnqueueJobResponse(queue_name=admitted.type.queue, job_type=admitted.type.type, options=admitted.options)


def _answer(kind: type[Answer], outcome: Outcome) -> Answer:
    if isinstance(outcome, JobServiceError):
        return kind(error=status_of(outcome))
    if outcome is None:
        return kind()
    return kind(job_id=outcome.id, duplicate=outcome.duplicate)
