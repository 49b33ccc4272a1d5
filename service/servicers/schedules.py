"""ScheduleService: recurring jobs as their owner sees and changes them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from google.protobuf.message import DecodeError
from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope, ScheduleRecord
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions
from qcollector.jobs.v1.job_reference_pb2 import JobReference
from qcollector.jobs.v1.schedule_service_pb2 import (
    CreateScheduleRequest,
    CreateScheduleResponse,
    DeleteScheduleRequest,
    DeleteScheduleResponse,
    GetScheduleRequest,
    GetScheduleResponse,
    ListScheduleRunsRequest,
    ListScheduleRunsResponse,
    ListSchedulesRequest,
    ListSchedulesResponse,
    PauseScheduleRequest,
    PauseScheduleResponse,
    PreviewScheduleRequest,
    PreviewScheduleResponse,
    ResumeScheduleRequest,
    ResumeScheduleResponse,
    Schedule,
    ScheduleJob,
    ScheduleRun,
    TriggerScheduleRequest,
    TriggerScheduleResponse,
    UpdateScheduleRequest,
    UpdateScheduleResponse,
)
from qcollector.jobs.v1.schedule_service_pb2_grpc import ScheduleServiceServicer

from contract.catalog import Catalog
from contract.errors import FieldProblem, RequestInvalidError
from contract.masking import masked
from contract.times import timestamp_of
from engine.cron import Cron, parse_cron
from engine.jobs import JobRecord
from engine.schedules import Run, StoredSchedule
from service.dependencies import Context, Servicer
from service.enqueueing import Accepted, enqueued_view
from service.interceptor.call import caller, current_call
from service.pagination import Paging

NEXT_TIMES: Final = 5


def schedule_view(schedule: StoredSchedule, catalog: Catalog, now: datetime) -> Schedule:
    """The schedule as callers see it, with sensitive values masked; of a broken one, what can be read."""
    record = schedule.record
    problem = schedule.problem
    times = [] if record.paused or problem else schedule.cron.next_times(now, NEXT_TIMES)
    view = Schedule(
        name=record.name,
        description=record.description,
        cron=record.cron,
        timezone=record.timezone,
        timezone_follows_setting=record.timezone_follows_setting,
        cron_text="" if problem else schedule.cron.text,
        queue_name=record.queue_name,
        job_type=record.job_type,
        options=record.options,
        paused=record.paused,
        create_time=record.create_time,
        update_time=record.update_time,
        last_slot=timestamp_of(schedule.fired) if schedule.fired else None,
        next_times=[timestamp_of(time) for time in times],
        created_by=schedule.created_by,
        updated_by=record.updated_by if record.HasField("updated_by") else None,
        run_as=schedule.run_as,
        etag=schedule.etag,
    )
    view.error = problem or _show_payload(view, record.payload, catalog) or schedule.fault
    return view


def _show_payload(view: Schedule, payload: bytes, catalog: Catalog) -> str:
    """Puts the payload into the view; why it cannot."""
    key = f"{view.queue_name}/{view.job_type}"
    job_type = catalog.types.get(key)
    if job_type is None:
        return f"the service knows no job type {key}: install its plugin, or give the schedule another job"
    try:
        view.payload.CopyFrom(catalog.wrap_payload(job_type, masked(job_type.payload.FromString(payload))))
    except DecodeError:
        return f"its payload cannot be read as one of {key}: give it another job"
    return ""


def run_view(run: Run, queue: str, job: JobRecord | None) -> ScheduleRun:
    view = ScheduleRun(
        slot=timestamp_of(run.slot),
        enqueue_time=timestamp_of(run.enqueued),
        job=JobReference(queue_name=queue, job_id=run.job_id),
        triggered=run.triggered,
    )
    if job is not None:
        view.state = job.state.proto
        view.failed_reason = job.failed_reason
    return view


PREVIEWED: Final = 5
SCHEDULES: Final[Paging[StoredSchedule]] = Paging("schedules", lambda one: one.record.name, usual=100, most=500)
RUNS_SHOWN: Final = 20
MOST_RUNS: Final = 100
ONE_TIME: Final = ("job_id", "delay", "run_at", "expire_at")
"""Options that are about one job, which a schedule does not enqueue."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A schedule's job, judged as if it were enqueued now by whoever sets it."""

    queue: str
    type: str
    payload: bytes
    options: JobOptions
    run_as: Caller

    def put_into(self, record: ScheduleRecord) -> None:
        record.queue_name, record.job_type, record.payload = self.queue, self.type, self.payload
        record.options.CopyFrom(self.options)
        record.run_as.CopyFrom(self.run_as)


class ScheduleServicer(Servicer, ScheduleServiceServicer):
    """Every call of ScheduleService."""

    async def ListSchedules(self, request: ListSchedulesRequest, _context: Context) -> ListSchedulesResponse:
        schedules, now = await self.deps.schedules.all()
        page, token = SCHEDULES.page(schedules, request.page_size, request.page_token)
        views = [schedule_view(one, self.deps.catalog, now) for one in page]
        return ListSchedulesResponse(schedules=views, next_page_token=token)

    async def GetSchedule(self, request: GetScheduleRequest, _context: Context) -> GetScheduleResponse:
        return GetScheduleResponse(schedule=await self._shown(request.name))

    async def CreateSchedule(self, request: CreateScheduleRequest, _context: Context) -> CreateScheduleResponse:
        record = ScheduleRecord(
            name=request.name,
            description=request.description,
            paused=request.paused,
            timezone_follows_setting=not request.timezone,
        )
        _set_time(record, parse_cron(request.cron, request.timezone or self.deps.settings.schedule_timezone))
        (await self._judged(request.job)).put_into(record)
        record.created_by.CopyFrom(caller().proto())
        record.create_time.GetCurrentTime()
        record.update_time.CopyFrom(record.create_time)
        await self.deps.schedules.create(record)
        return CreateScheduleResponse(schedule=await self._shown(request.name))

    async def UpdateSchedule(self, request: UpdateScheduleRequest, _context: Context) -> UpdateScheduleResponse:
        job = await self._judged(request.job) if request.HasField("job") else None

        def edit(record: ScheduleRecord) -> None:
            if request.HasField("description"):
                record.description = request.description
            if request.HasField("cron") or request.HasField("timezone"):
                self._change_time(record, request)
            if job is not None:
                job.put_into(record)

        await self.deps.schedules.change(request.name, edit, caller().proto(), request.etag)
        return UpdateScheduleResponse(schedule=await self._shown(request.name))

    async def DeleteSchedule(self, request: DeleteScheduleRequest, _context: Context) -> DeleteScheduleResponse:
        await self.deps.schedules.delete(request.name, request.etag)
        return DeleteScheduleResponse()

    async def PauseSchedule(self, request: PauseScheduleRequest, _context: Context) -> PauseScheduleResponse:
        return PauseScheduleResponse(schedule=await self._pause(request.name, request.etag, paused=True))

    async def ResumeSchedule(self, request: ResumeScheduleRequest, _context: Context) -> ResumeScheduleResponse:
        return ResumeScheduleResponse(schedule=await self._pause(request.name, request.etag, paused=False))

    async def TriggerSchedule(self, request: TriggerScheduleRequest, _context: Context) -> TriggerScheduleResponse:
        triggered = await self.deps.firing.trigger(
            request.name, current_call().trace, caller=caller().id, request_id=request.request_id
        )
        return enqueued_view(TriggerScheduleResponse, Accepted(*triggered))

    async def ListScheduleRuns(self, request: ListScheduleRunsRequest, _context: Context) -> ListScheduleRunsResponse:
        queue = (await self.deps.schedules.get(request.name)).record.queue_name
        paging: Paging[Run] = Paging(f"runs {request.name}", _place_of, RUNS_SHOWN, MOST_RUNS, newest_first=True)
        history = sorted(await self.deps.schedules.runs(request.name), key=_place_of, reverse=True)
        runs, token = paging.page(history, request.page_size, request.page_token)
        jobs = await self.deps.inspection.get_many(queue, [run.job_id for run in runs]) if runs else []
        views = [run_view(run, queue, job) for run, job in zip(runs, jobs, strict=True)]
        return ListScheduleRunsResponse(runs=views, next_page_token=token)

    async def PreviewSchedule(self, request: PreviewScheduleRequest, _context: Context) -> PreviewScheduleResponse:
        cron = parse_cron(request.cron, request.timezone or self.deps.settings.schedule_timezone)
        times = cron.next_times(datetime.now(UTC), request.count or PREVIEWED)
        return PreviewScheduleResponse(times=[timestamp_of(time) for time in times], cron_text=cron.text)

    async def _shown(self, name: str) -> Schedule:
        return schedule_view(await self.deps.schedules.get(name), self.deps.catalog, datetime.now(UTC))

    async def _pause(self, name: str, etag: str = "", *, paused: bool) -> Schedule:
        def edit(record: ScheduleRecord) -> None:
            record.paused = paused

        await self.deps.schedules.change(name, edit, caller().proto(), etag)
        return await self._shown(name)

    def _change_time(self, record: ScheduleRecord, request: UpdateScheduleRequest) -> None:
        """Checks the two together: a zone that is no more is replaced beside the expression that it was for."""
        zone = record.timezone
        if request.HasField("timezone"):
            record.timezone_follows_setting = not request.timezone
            zone = request.timezone or self.deps.settings.schedule_timezone
        _set_time(record, parse_cron(request.cron if request.HasField("cron") else record.cron, zone))

    async def _judged(self, job: ScheduleJob) -> _Job:
        set_once = [field.name for field, _ in job.options.ListFields() if field.name in ONE_TIME]
        if set_once:
            rule = "is about a single job; leave it unset for a recurring one"
            raise RequestInvalidError(
                [FieldProblem(f"job.options.{_camel(name)}", "one_time", rule) for name in set_once]
            )
        request = EnqueueJobRequest(queue_name=job.queue_name, job_type=job.job_type, options=job.options)
        if job.HasField("data"):
            request.data.CopyFrom(job.data)
        if job.HasField("payload"):
            request.payload.CopyFrom(job.payload)
        try:
            admitted = await self.deps.enqueuer.admit(request)
        except RequestInvalidError as error:
            problems = [FieldProblem(f"job.{one.field}", one.rule, one.description) for one in error.problems]
            raise RequestInvalidError(problems) from None
        payload = admitted.job.secret or JobEnvelope.FromString(admitted.job.envelope).payload
        return _Job(admitted.type.queue, admitted.type.type, payload, job.options, caller().proto())


def _set_time(record: ScheduleRecord, cron: Cron) -> None:
    record.cron, record.timezone = cron.expression, cron.timezone


def _place_of(run: Run) -> str:
    return f"{run.enqueued:%Y%m%dT%H%M%S.%f} {run.job_id}"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
