"""Reads what the scripts keep of a job. The places are those of lua/include/record.lua."""

from collections.abc import Sequence
from typing import Any

from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope

from engine.jobs import Failure, JobRecord, State
from engine.packing import unpack

# Places in the record, counted from 0 here and from 1 in Lua.
# fmt: off
_STATE, _STARTS, _FAILS, _MAX, _PRIORITY, _EXPONENTIAL, _BACKOFF, _JITTER = range(8)
_WORKER, _CREATED, _READY, _STARTED, _FINISHED, _STALLS, _SEQ, _EXPIRE = range(8, 16)
_KEEP, _PROGRESS, _LOGS, _CUSTOM, _TYPE, _OWNER, _UNKNOWN, _SECRET = range(16, 24)
# fmt: on


def read_state(state: bytes) -> State:
    return State(unpack(state)[_STATE])


def read_record(
    job_id: str, state: bytes, envelope: bytes, secret: bytes | None, output: bytes | None, failures: bytes | None
) -> JobRecord:
    """A job out of the pieces that a script answers: `output` is its result, or why it ended otherwise."""
    kept: Sequence[Any] = unpack(state)
    history = tuple(Failure(int(time), reason, worker) for time, reason, worker in unpack(failures)) if failures else ()
    where = State(kept[_STATE])
    completed = where is State.COMPLETED
    reason = (output or b"").decode("utf-8", "replace") if where.finished and not completed else ""
    if not reason and history:
        reason = history[-1].reason
    return JobRecord(
        id=job_id,
        state=where,
        envelope=JobEnvelope.FromString(envelope),
        secret=secret or b"",
        starts=kept[_STARTS],
        fails=kept[_FAILS],
        max_attempts=kept[_MAX],
        priority=kept[_PRIORITY],
        created=int(kept[_CREATED]),
        ready=int(kept[_READY]),
        started=int(kept[_STARTED]),
        finished=int(kept[_FINISHED]),
        progress=float(kept[_PROGRESS]),
        stalls=kept[_STALLS],
        worker=kept[_WORKER],
        result=(output or b"") if completed else b"",
        failed_reason="" if completed else reason,
        failures=history,
        expire_at=int(kept[_EXPIRE]),
    )
