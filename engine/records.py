"""Reads what the scripts keep of a job."""

from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope

from engine.jobs import Cause, Failure, JobRecord, State
from engine.packing import unpack
from engine.schema import FailureEntry, ListedJob, Record, WholeJob


def read_state(state: bytes) -> State:
    return State(Record.read(unpack(state)).state)


def read_record(job_id: str, job: WholeJob | ListedJob) -> JobRecord | None:
    """A job as a script answers it: `output` is its result, or why it ended otherwise. None if there is no such job."""
    if not job.record or not job.envelope:
        return None
    kept, output, failures = Record.read(unpack(job.record)), job.output, job.failures
    history = tuple(_failure(FailureEntry(*entry)) for entry in unpack(failures)) if failures else ()
    where = State(kept.state)
    completed = where is State.COMPLETED
    reason = (output or b"").decode("utf-8", "replace") if where.finished and not completed else ""
    if not reason and history:
        reason = history[-1].reason
    return JobRecord(
        id=job_id,
        state=where,
        envelope=JobEnvelope.FromString(job.envelope),
        secret=(job.secret or b"") if isinstance(job, WholeJob) else b"",
        starts=kept.starts,
        fails=kept.fails,
        max_attempts=kept.max_attempts,
        priority=kept.priority,
        created=int(kept.created),
        ready=int(kept.ready),
        started=int(kept.started),
        finished=int(kept.finished),
        progress=float(kept.progress),
        stalls=kept.stalls,
        worker=kept.worker,
        result=(output or b"") if completed else b"",
        failed_reason="" if completed else reason,
        failures=history,
        expire_at=int(kept.expire_at),
        cause=Cause(kept.cause) if where is State.FAILED else Cause.UNSPECIFIED,
    )


def _failure(entry: FailureEntry) -> Failure:
    return Failure(int(entry.time), entry.reason, entry.worker)
