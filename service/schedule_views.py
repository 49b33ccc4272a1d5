"""How schedules and their runs are shown."""

from datetime import datetime

from qcollector.jobs.v1.schedule_service_pb2 import Schedule, ScheduleRun

from engine.catalog import Catalog
from engine.jobs import JobRecord
from engine.masking import masked
from engine.schedules import Run, StoredSchedule, timestamp

NEXT_TIMES = 5


def schedule_view(schedule: StoredSchedule, catalog: Catalog, now: datetime) -> Schedule:
    """The schedule as callers see it: sensitive values of its payload are masked."""
    record = schedule.record
    view = Schedule(
        name=record.name,
        description=record.description,
        cron=record.cron,
        timezone=record.timezone,
        cron_text=schedule.cron.text,
        queue_name=record.queue_name,
        job_type=record.job_type,
        options=record.options,
        paused=record.paused,
        create_time=record.create_time,
        update_time=record.update_time,
        last_slot=timestamp(schedule.fired) if schedule.fired else None,
        next_times=[] if record.paused else [timestamp(time) for time in schedule.cron.next_times(now, NEXT_TIMES)],
        created_by=record.created_by.id,
    )
    job_type = catalog.types.get(f"{record.queue_name}/{record.job_type}")
    # A type that this process does not know, because its plugin is gone, leaves the payload out.
    if job_type is not None:
        view.payload.CopyFrom(catalog.wrap_payload(job_type, masked(job_type.payload.FromString(record.payload))))
    return view


def run_view(run: Run, job: JobRecord | None) -> ScheduleRun:
    view = ScheduleRun(
        slot=timestamp(run.slot), enqueue_time=timestamp(run.enqueued), job_id=run.job_id, triggered=run.triggered
    )
    if job is not None:
        view.state = job.state.proto
        view.failed_reason = job.failed_reason
    return view
