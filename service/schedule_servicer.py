"""ScheduleService: recurring jobs as their owner sees and changes them."""

from datetime import UTC, datetime
from typing import Final

from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope, ScheduleRecord
from qcollector.jobs.v1.job_service_pb2 import EnqueueJobRequest
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
    ScheduleJob,
    TriggerScheduleRequest,
    TriggerScheduleResponse,
    UpdateScheduleRequest,
    UpdateScheduleResponse,
)
from qcollector.jobs.v1.schedule_service_pb2_grpc import ScheduleServiceServicer

from engine.cron import parse_cron
from engine.errors import FieldProblem, RequestInvalidError
from engine.schedules import timestamp
from service.call import caller, current_call
from service.parts import Calls, Context
from service.schedule_views import run_view, schedule_view

PREVIEWED: Final = 5
RUNS: Final = 20
ONE_TIME: Final = ("job_id", "delay", "run_at", "expire_at")
"""Options that are about one job, which a schedule does not enqueue."""


class ScheduleServicer(Calls, ScheduleServiceServicer):
    """Every call of ScheduleService."""

    async def ListSchedules(self, _request: ListSchedulesRequest, _context: Context) -> ListSchedulesResponse:
        schedules, now = await self.parts.schedules.all()
        return ListSchedulesResponse(schedules=[schedule_view(one, self.parts.catalog, now) for one in schedules])

    async def GetSchedule(self, request: GetScheduleRequest, _context: Context) -> GetScheduleResponse:
        schedule = await self.parts.schedules.get(request.name)
        return GetScheduleResponse(schedule=schedule_view(schedule, self.parts.catalog, datetime.now(UTC)))

    async def CreateSchedule(self, request: CreateScheduleRequest, context: Context) -> CreateScheduleResponse:
        record = ScheduleRecord(name=request.name, description=request.description, paused=request.paused)
        self._set_time(record, request.cron, request.timezone or self.parts.settings.schedule_timezone)
        await self._set_job(record, request.job)
        record.created_by.CopyFrom(caller().proto())
        record.create_time.GetCurrentTime()
        record.update_time.CopyFrom(record.create_time)
        await self.parts.schedules.create(record)
        shown = await self.GetSchedule(GetScheduleRequest(name=request.name), context)
        return CreateScheduleResponse(schedule=shown.schedule)

    async def UpdateSchedule(self, request: UpdateScheduleRequest, context: Context) -> UpdateScheduleResponse:
        record = (await self.parts.schedules.get(request.name)).record
        if request.HasField("description"):
            record.description = request.description
        times_change = request.HasField("cron") or request.HasField("timezone")
        if times_change:
            zone = (request.timezone or self.parts.settings.schedule_timezone) if request.HasField("timezone") else ""
            self._set_time(record, request.cron or record.cron, zone or record.timezone)
        if request.HasField("job"):
            await self._set_job(record, request.job)
            # Its jobs are enqueued in the name of whoever said what they do.
            record.created_by.CopyFrom(caller().proto())
        await self._write(record, restart=times_change)
        shown = await self.GetSchedule(GetScheduleRequest(name=request.name), context)
        return UpdateScheduleResponse(schedule=shown.schedule)

    async def DeleteSchedule(self, request: DeleteScheduleRequest, _context: Context) -> DeleteScheduleResponse:
        await self.parts.schedules.delete(request.name)
        return DeleteScheduleResponse()

    async def PauseSchedule(self, request: PauseScheduleRequest, context: Context) -> PauseScheduleResponse:
        await self._pause(request.name, paused=True)
        shown = await self.GetSchedule(GetScheduleRequest(name=request.name), context)
        return PauseScheduleResponse(schedule=shown.schedule)

    async def ResumeSchedule(self, request: ResumeScheduleRequest, context: Context) -> ResumeScheduleResponse:
        await self._pause(request.name, paused=False)
        shown = await self.GetSchedule(GetScheduleRequest(name=request.name), context)
        return ResumeScheduleResponse(schedule=shown.schedule)

    async def TriggerSchedule(self, request: TriggerScheduleRequest, _context: Context) -> TriggerScheduleResponse:
        job_id, queue = await self.parts.schedules.trigger(request.name, current_call().trace)
        return TriggerScheduleResponse(job_id=job_id, queue_name=queue)

    async def ListScheduleRuns(self, request: ListScheduleRunsRequest, _context: Context) -> ListScheduleRunsResponse:
        queue = (await self.parts.schedules.get(request.name)).record.queue_name
        runs = (await self.parts.schedules.runs(request.name))[: request.limit or RUNS]
        jobs = await self.parts.inspection.get_many(queue, [run.job_id for run in runs]) if runs else []
        return ListScheduleRunsResponse(runs=[run_view(run, job) for run, job in zip(runs, jobs, strict=True)])

    async def PreviewSchedule(self, request: PreviewScheduleRequest, _context: Context) -> PreviewScheduleResponse:
        cron = parse_cron(request.cron, request.timezone or self.parts.settings.schedule_timezone)
        times = cron.next_times(datetime.now(UTC), request.count or PREVIEWED)
        return PreviewScheduleResponse(times=[timestamp(time) for time in times], cron_text=cron.text)

    async def _pause(self, name: str, *, paused: bool) -> None:
        record = (await self.parts.schedules.get(name)).record
        if record.paused != paused:
            record.paused = paused
            # Slots that passed during the pause are not made up.
            await self._write(record, restart=not paused)

    async def _write(self, record: ScheduleRecord, *, restart: bool) -> None:
        record.update_time.GetCurrentTime()
        await self.parts.schedules.update(record, restart=restart)

    def _set_time(self, record: ScheduleRecord, expression: str, timezone: str) -> None:
        cron = parse_cron(expression, timezone)
        record.cron, record.timezone = cron.expression, cron.timezone

    async def _set_job(self, record: ScheduleRecord, job: ScheduleJob) -> None:
        """Judges the job as if it were enqueued now, by this caller."""
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
            admitted = await self.parts.enqueuer.admit(request)
        except RequestInvalidError as error:
            problems = [FieldProblem(f"job.{one.field}", one.rule, one.description) for one in error.problems]
            raise RequestInvalidError(problems) from None
        record.queue_name, record.job_type = admitted.type.queue, admitted.type.type
        record.payload = admitted.job.secret or JobEnvelope.FromString(admitted.job.envelope).payload
        record.options.CopyFrom(job.options)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
