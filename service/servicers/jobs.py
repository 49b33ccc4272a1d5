"""JobService: single jobs and pages of them: seen, followed, steered, their results."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import structlog
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
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
from qcollector.jobs.v1.job_pb2 import JobView
from qcollector.jobs.v1.job_queries_pb2 import (
    DownloadResultRequest,
    GetJobRequest,
    GetJobResponse,
    JobLogLine,
    ListJobLogsRequest,
    ListJobLogsResponse,
    ListJobsRequest,
    ListJobsResponse,
    WatchJobRequest,
    WatchJobResponse,
)
from qcollector.jobs.v1.queue_requests_pb2 import WatchQueuesRequest, WatchQueuesResponse

from base.storage import StorageRoots
from contract.declarations import JobType
from contract.errors import FieldProblem, JobStateConflictError, RequestInvalidError, ResultNotFoundError
from contract.masking import masked
from contract.times import timestamp
from engine.actions import CANCEL, DELETE, PROMOTE, RETRY, Action, job_not_found
from engine.inspection import BY_STATE
from engine.jobs import JobRecord, LogLine, State
from service.auth import Principal
from service.dependencies import Context, Dependencies, Servicer
from service.downloads import FileGoneError, disposition, opened
from service.filters import ALL_QUEUES, job_query
from service.interceptor.call import caller, current_call
from service.pagination import Paging
from service.permissions import creator, require_full_view
from service.views import event_view, job_view, queue_view

log = structlog.get_logger()

PAGE_SIZE: Final = 50
MOST_JOBS: Final = 500
"""On a page; whoever asks for more gets so many."""
CHUNK_BYTES: Final = 64 * 1024
LOG_LINES: Final[Paging[tuple[int, LogLine]]] = Paging("logs", lambda line: f"{line[0]:012}", usual=200, most=200)
"""By their number in all that the job wrote, so that lines that come meanwhile shift no page."""


class QueryCalls(Servicer):
    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)
        self._roots = StorageRoots(deps.settings)

    async def GetJob(self, request: GetJobRequest, _context: Context) -> GetJobResponse:
        full = request.view == JobView.JOB_VIEW_FULL
        if full:
            require_full_view(caller())
        record = await self.own_job(request.queue_name, request.job_id)
        if request.wait_seconds and not record.state.finished:
            with self.deps.limits.hold(caller()):
                record = await self.deps.events.wait(request.queue_name, request.job_id, request.wait_seconds)
        if full:
            log.info("full_view", audit=True, caller=caller().id, queue=request.queue_name, job_id=record.id)
        return GetJobResponse(job=job_view(record, self.deps.catalog, full=full))

    async def ListJobs(self, request: ListJobsRequest, _context: Context) -> ListJobsResponse:
        queues = self._queues(request)
        if not caller().is_admin and request.created_by not in {"", caller().id}:
            return ListJobsResponse()
        owner = request.created_by if caller().is_admin else caller().id
        query = job_query(request, queues[0], self.deps.catalog, owner)
        page = await self.deps.inspection.page(
            queues, query, _order(request.order_by), min(request.page_size or PAGE_SIZE, MOST_JOBS), request.page_token
        )
        jobs = [job_view(record, self.deps.catalog) for record in page.jobs]
        return ListJobsResponse(jobs=jobs, next_page_token=page.next_token, scanned=page.scanned)

    def _queues(self, request: ListJobsRequest) -> tuple[str, ...]:
        """The queues that are listed: for all of them, those that have the type.

        Raises:
          QueueUnknownError, JobTypeUnknownError: there is no such queue, or no queue has such a type.
          RequestInvalidError: all queues were asked for in the order of a single one.
        """
        if request.queue_name != ALL_QUEUES:
            return (self.queue(request.queue_name),)
        if request.order_by == BY_STATE:
            said = 'the order "state" is that of a single queue: name the queue, or order by "create_time"'
            raise RequestInvalidError([FieldProblem("orderBy", "single_queue", said)])
        return self.deps.catalog.queues_with(request.job_type)

    async def ListJobLogs(self, request: ListJobLogsRequest, _context: Context) -> ListJobLogsResponse:
        await self.own_job(request.queue_name, request.job_id)
        lines, total = await self.deps.inspection.logs(request.queue_name, request.job_id) or ([], 0)
        numbered = list(enumerate(lines, total - len(lines)))
        page, next_token = LOG_LINES.page(numbered, request.page_size, request.page_token)
        shown = [JobLogLine(time=timestamp(line.time), message=line.message) for _, line in page]
        return ListJobLogsResponse(lines=shown, total=total, next_page_token=next_token)

    async def DownloadResult(self, request: DownloadResultRequest, context: Context) -> AsyncIterator[HttpBody]:
        record, principal = await self._downloaded(request)
        job_type, result = self._result(record)
        stored = self.deps.checks.file(job_type.payload, result)
        if (link := current_call().link) and not (stored and link.opens(stored.sha256)):
            raise _not_found(record, f"The file that this link led to is gone: job {record.id} holds another one.")
        if stored is None:
            content = MessageToJson(masked(result), always_print_fields_with_no_presence=True).encode()
            await _name_download(context, f"{record.id}.json")
            for start in range(0, len(content), CHUNK_BYTES):
                yield HttpBody(content_type="application/json", data=content[start : start + CHUNK_BYTES])
            return
        payload = job_type.payload.FromString(record.envelope.payload)
        if not await self.deps.checks.may_download(payload, principal):
            raise _not_found(record, f"What is in the file of job {record.id} is not, or no longer, yours to see.")
        try:
            async with opened(stored, self._roots) as file:
                await _name_download(context, file.name)
                async for body in file.bodies():
                    yield body
        except FileGoneError:
            days = self.deps.settings.export_retention_days
            raise _not_found(
                record,
                f"The file of job {record.id} is gone: it was removed, or replaced by a later job of its caller. Exports are "
                f"kept for {days:g} days. Make it again.",
            ) from None

    async def _downloaded(self, request: DownloadResultRequest) -> tuple[JobRecord, Principal]:
        """The job, and who must be allowed to see what its file holds: behind a link, whoever enqueued the job.

        Raises:
          QueueUnknownError, JobNotFoundError: there is no such job, or it is somebody else's.
        """
        if current_call().link is None:
            return await self.own_job(request.queue_name, request.job_id), caller()
        record = await self.deps.inspection.get(self.queue(request.queue_name), request.job_id)
        if record is None:
            raise job_not_found(request.queue_name, request.job_id)
        return record, creator(record)

    def _result(self, record: JobRecord) -> tuple[JobType, Message]:
        """What a completed job answered. Raises JobStateConflictError or ResultNotFoundError."""
        queue = record.envelope.queue_name
        if record.state is not State.COMPLETED:
            raise JobStateConflictError(
                f"Job {record.id} is {record.state.name.lower()} and has no result: only a completed job has one.",
                queue=queue,
                job=record.id,
                state=f"JOB_STATE_{record.state.name}",
            )
        job_type = self.deps.catalog.types.get(f"{queue}/{record.envelope.job_type}")
        if job_type is None or not job_type.result.DESCRIPTOR.fields:
            raise _not_found(record, f"Jobs of this type answer nothing, as {record.id} did.")
        return job_type, job_type.result.FromString(record.result)


async def _name_download(context: Context, name: str) -> None:
    await context.send_initial_metadata((("content-disposition", disposition(name)),))


def _not_found(record: JobRecord, message: str) -> ResultNotFoundError:
    return ResultNotFoundError(message, queue=record.envelope.queue_name, job=record.id)


def _order(asked: str) -> str:
    """The engine's word for it: fields may be named in snake_case or camelCase."""
    return asked.replace("create_time", "createTime")


HEARTBEAT_SECONDS: Final = 15
"""Below the idle time after which proxies cut a stream."""


class WatchCalls(Servicer):
    async def WatchJob(self, request: WatchJobRequest, _context: Context) -> AsyncIterator[WatchJobResponse]:
        await self.own_job(request.queue_name, request.job_id)
        events = self.deps.events.watch(
            request.queue_name, request.job_id, request.after_sequence, heartbeat=HEARTBEAT_SECONDS
        )
        async with aclosing(events):
            async for event in events:
                yield event_view(event, self.deps.catalog)

    async def WatchQueues(self, _request: WatchQueuesRequest, _context: Context) -> AsyncIterator[WatchQueuesResponse]:
        async with self.deps.queue_feed.subscribe() as watcher:
            while True:
                changes = await watcher.take(HEARTBEAT_SECONDS)
                queues = [queue_view(queue) for queue in changes.queues]
                yield WatchQueuesResponse(queues=queues, time=timestamp(changes.time))


Request = CancelJobRequest | RetryJobRequest | PromoteJobRequest | DeleteJobRequest

log = structlog.get_logger()


class SteeringCalls(Servicer):
    """Each call leaves a line for the audit: who, what, and why."""

    async def CancelJob(self, request: CancelJobRequest, _context: Context) -> CancelJobResponse:
        await self.own_job(request.queue_name, request.job_id)
        record = await self.deps.steering.cancel(request.queue_name, request.job_id, request.reason)
        _audit(CANCEL, request)
        return CancelJobResponse(job=job_view(record, self.deps.catalog))

    async def RetryJob(self, request: RetryJobRequest, _context: Context) -> RetryJobResponse:
        record = await self.deps.steering.retry(self.queue(request.queue_name), request.job_id, request.reason)
        _audit(RETRY, request)
        return RetryJobResponse(job=job_view(record, self.deps.catalog))

    async def PromoteJob(self, request: PromoteJobRequest, _context: Context) -> PromoteJobResponse:
        record = await self.deps.steering.promote(self.queue(request.queue_name), request.job_id, request.reason)
        _audit(PROMOTE, request)
        return PromoteJobResponse(job=job_view(record, self.deps.catalog))

    async def DeleteJob(self, request: DeleteJobRequest, _context: Context) -> DeleteJobResponse:
        await self.deps.steering.delete(self.queue(request.queue_name), request.job_id, request.reason)
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
