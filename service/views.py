"""How jobs, queues, job types and events are shown: the engine's records as the contract's messages."""

import time
from functools import cache

from google.protobuf.struct_pb2 import Struct
from qcollector.jobs.v1.job_event_pb2 import (
    JobEnd,
    JobHeartbeat,
    JobLog,
    JobProgress,
    JobReset,
    JobSnapshot,
    JobStateChange,
)
from qcollector.jobs.v1.job_pb2 import Caller, Job, JobFailure, JobOptions, JobState
from qcollector.jobs.v1.job_queries_pb2 import WatchJobResponse
from qcollector.jobs.v1.options_pb2 import Backoff
from qcollector.jobs.v1.payload_pb2 import JobPayload, JobResult
from qcollector.jobs.v1.queue_pb2 import JobType as JobTypeView
from qcollector.jobs.v1.queue_pb2 import (
    QueueCounts,
    QueueLimits,
    QueuePause,
    QueueQuantiles,
    QueueRate,
    QueueRateLimit,
    QueueStats,
    QueueTotals,
)

from contract.catalog import Catalog, JobType
from contract.masking import masked
from contract.schema import json_schema
from contract.times import timestamp
from engine.events import Told, Watched
from engine.jobs import JobRecord, Quantiles, QueueSnapshot, State
from engine.jobs import QueuePause as EnginePause


def job_view(record: JobRecord, catalog: Catalog, *, full: bool = False) -> Job:
    """The job as callers see it. Sensitive values are masked, unless `full`, and while they are stored."""
    envelope = record.envelope
    job_type = catalog.types.get(f"{envelope.queue_name}/{envelope.job_type}")
    view = Job(
        id=record.id,
        queue_name=envelope.queue_name,
        job_type=envelope.job_type,
        state=record.state.proto,
        progress=record.progress,
        priority=record.priority,
        attempts_made=record.attempts_made,
        max_attempts=record.max_attempts,
        create_time=timestamp(record.created),
        start_time=timestamp(record.started),
        end_time=timestamp(record.finished),
        run_time=timestamp(record.ready) if record.state is State.DELAYED else None,
        failed_reason=record.failed_reason,
        failure_cause=record.cause.proto,
        failures=[JobFailure(time=timestamp(f.time), reason=f.reason, worker=f.worker) for f in record.failures],
        created_by=envelope.created_by,
        options=_options(record),
        worker=record.worker,
        stalls=record.stalls,
    )
    # A type that this process does not know, because its plugin is gone, leaves payload and result out.
    if job_type is not None:
        view.payload.CopyFrom(_payload(record, job_type, catalog, full=full))
        if record.state is State.COMPLETED:
            view.result.CopyFrom(result_view(record, job_type, catalog))
    return view


def _payload(record: JobRecord, job_type: JobType, catalog: Catalog, *, full: bool) -> JobPayload:
    stored = record.secret if full and record.secret else record.envelope.payload
    payload = job_type.payload.FromString(stored)
    return catalog.wrap_payload(job_type, payload if full else masked(payload))


def result_view(record: JobRecord, job_type: JobType, catalog: Catalog) -> JobResult:
    """What a completed job answered, sensitive values masked."""
    result = masked(job_type.result.FromString(record.result))
    return catalog.wrap_result(job_type, result.SerializeToString())


def _options(record: JobRecord) -> JobOptions:
    """What was in force when it was enqueued, with what has been changed since."""
    options = JobOptions()
    options.CopyFrom(record.envelope.options)
    options.job_id = record.id
    options.priority = record.priority
    options.attempts = record.max_attempts
    return options


def queue_view(queue: QueueSnapshot) -> QueueStats:
    limits = queue.limits
    return QueueStats(
        queue_name=queue.name,
        paused=queue.paused,
        counts=QueueCounts(**{state.name.lower(): count for state, count in queue.counts.items()}),
        totals=QueueTotals(**{state.name.lower(): count for state, count in queue.totals.items()}),
        oldest_waiting_age_ms=queue.oldest_waiting_age,
        per_minute=QueueRate(completed=queue.completed_per_minute, failed=queue.failed_per_minute),
        wait_ms=_quantiles(queue.wait),
        run_ms=_quantiles(queue.run),
        limits=QueueLimits(
            max_active=limits.max_active,
            rate=QueueRateLimit(max=limits.rate_max, period_ms=limits.rate_period) if limits.rate_max else None,
            etag=limits.etag,
        ),
        pause=_pause(queue.pause) if queue.pause is not None else None,
        set_aside=queue.set_aside,
    )


def _pause(pause: EnginePause) -> QueuePause:
    by = Caller.FromString(pause.by) if pause.by else None
    return QueuePause(time=timestamp(pause.time) if pause.time else None, by=by, reason=pause.reason)


def _quantiles(quantiles: Quantiles) -> QueueQuantiles:
    return QueueQuantiles(p50=quantiles.p50, p95=quantiles.p95, p99=quantiles.p99)


def type_view(job_type: JobType) -> JobTypeView:
    backoff = Backoff(
        type="exponential" if job_type.exponential else "fixed", delay=job_type.backoff, jitter=job_type.jitter
    )
    return JobTypeView(
        queue_name=job_type.queue,
        job_type=job_type.type,
        description=job_type.description,
        attempts=job_type.attempts,
        backoff=backoff,
        timeout_ms=job_type.timeout,
        minimum_role=job_type.minimum_role,
        payload_field=job_type.member,
        payload_message=job_type.payload.DESCRIPTOR.full_name,
        result_message=job_type.result.DESCRIPTOR.full_name,
        schema=_schema(job_type),
    )


@cache
def _schema(job_type: JobType) -> Struct:
    schema = Struct()
    schema.update(json_schema(job_type))
    return schema


def event_view(watched: Watched, catalog: Catalog) -> WatchJobResponse:
    when = watched.time or time.time_ns() // 1_000_000
    view = WatchJobResponse(sequence=watched.sequence, time=timestamp(when))
    job = job_view(watched.record, catalog) if watched.record is not None else None
    state = watched.state.proto if watched.state is not None else JobState.JOB_STATE_UNSPECIFIED
    match watched.kind:
        case Told.SNAPSHOT:
            view.snapshot.CopyFrom(JobSnapshot(job=job))
        case Told.STATE:
            view.state.CopyFrom(JobStateChange(state=state, reason=watched.text))
        case Told.PROGRESS:
            view.progress.CopyFrom(JobProgress(percent=watched.progress, step=watched.text))
        case Told.LOG:
            view.log.CopyFrom(JobLog(message=watched.text))
        case Told.END:
            view.end.CopyFrom(JobEnd(state=state, reason=watched.text, job=job, deleted=job is None))
        case Told.HEARTBEAT:
            view.heartbeat.CopyFrom(JobHeartbeat())
        case Told.RESET:
            view.reset.CopyFrom(JobReset(job=job))
    return view
