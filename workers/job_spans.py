"""The span of one start of a job, where jobs are traced."""

from typing import Final

from base.telemetry import tracing
from base.telemetry.spans import NO_SPAN, Kind, Span, Value
from engine.jobs import Outcome, Settlement
from workers.running import RunningJob

_WELL: Final = frozenset({Outcome.COMPLETE, Outcome.SNOOZE, Outcome.RELEASE})


def begin(job: RunningJob) -> Span:
    """A part of the trace of the call that enqueued the job. It is current for the job's handler."""
    if not tracing.active():
        return NO_SPAN
    attributes: dict[str, Value] = {
        "messaging.system": "qjobs",
        "messaging.operation.type": "process",
        "messaging.destination.name": job.queue,
        "messaging.message.id": job.job_id,
        "qjobs.job.type": job.job_type,
        "qjobs.job.attempt": job.attempt,
        "qjobs.job.starts": job.starts,
        "qjobs.request_id": job.envelope.request_id,
    }
    span = tracing.begin(f"process {job.queue}/{job.job_type}", Kind.CONSUMER, attributes, job.trace)
    job.trace = span.trace
    return span


def settled(span: Span, job: RunningJob, settlement: Settlement | None) -> None:
    """Tells what came of it; without a settlement, why the job was no longer this worker's."""
    if settlement is None:
        span.note({"qjobs.job.outcome": job.loss.value})
        return
    span.note({"qjobs.job.outcome": settlement.outcome.name.lower()})
    if settlement.outcome not in _WELL:
        span.failed(settlement.reason)
