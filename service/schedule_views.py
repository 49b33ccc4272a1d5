"""How schedules and their runs are shown."""

from datetime import datetime
from typing import Final

from google.protobuf.message import DecodeError
from qcollector.jobs.v1.job_reference_pb2 import JobReference
from qcollector.jobs.v1.schedule_service_pb2 import Schedule, ScheduleRun

from contract.catalog import Catalog
from contract.masking import masked
from engine.jobs import JobRecord
from engine.schedules import Run, StoredSchedule, timestamp

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
        last_slot=timestamp(schedule.fired) if schedule.fired else None,
        next_times=[timestamp(time) for time in times],
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
        slot=timestamp(run.slot),
        enqueue_time=timestamp(run.enqueued),
        job=JobReference(queue_name=queue, job_id=run.job_id),
        triggered=run.triggered,
    )
    if job is not None:
        view.state = job.state.proto
        view.failed_reason = job.failed_reason
    return view
