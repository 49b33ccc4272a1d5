"""What a worker reports of an attempt, by how it ended."""

import random
from typing import Any, Final

from google.protobuf.message import Message

from contract.catalog import JobType
from engine.jobs import Cause, Outcome, Settlement
from workers.context import LeaseLostError
from workers.outcomes import FailForGood, RetryAfter, Snooze, plain_reason
from workers.running import BreakOff, RunningJob

MAX_REASON_LENGTH: Final = 2000
UNKNOWN_TYPE_MS: Final = (1000, 3000)
"""Between these, drawn at random, a job of a type unknown here waits for a worker that knows it."""


def answered(job: RunningJob, job_type: JobType, answer: Any, max_bytes: int) -> Settlement:
    """The handler returned: the job is complete, if that is the result that the type declares."""
    if type(answer) is not job_type.result:
        expected = job_type.result.DESCRIPTOR.full_name
        reason = f"the handler of {job_type.key} answered a {_kind(answer)} instead of a {expected}"
        return _for_good(job, reason, Cause.UNUSABLE_RESULT)
    result = answer.SerializeToString()
    if len(result) > max_bytes:
        reason = f"the result is too large: {len(result)} bytes, QUEUE_MAX_PAYLOAD_BYTES is {max_bytes}"
        return _for_good(job, reason, Cause.UNUSABLE_RESULT)
    return Settlement(job.claimed.id, job.claimed.fence, Outcome.COMPLETE, result)


def raised(job: RunningJob, error: BaseException) -> Settlement | None:
    """The handler, or what it depends on, raised. None if there is nobody to report to."""
    match error:
        case LeaseLostError():
            return None
        case RetryAfter():
            return _failed(job, error.reason, Cause.HANDLER_ERROR, error.seconds)
        case Snooze():
            return _settlement(job, Outcome.SNOOZE, error.reason, error.seconds)
        case FailForGood():
            return _for_good(job, error.reason, Cause.HANDLER_GAVE_UP)
        case _:
            return _failed(job, plain_reason(error), Cause.HANDLER_ERROR)


def broken_off(job: RunningJob) -> Settlement | None:
    """The attempt was made to end. None if the job is no longer this worker's."""
    match job.broken_off:
        case BreakOff.TIMEOUT:
            return _failed(job, f"timed out after {job.limit:g} s", Cause.TIMED_OUT)
        case BreakOff.SHUTDOWN:
            return handed_back(job)
        case _:
            return None


def handed_back(job: RunningJob) -> Settlement:
    return _settlement(job, Outcome.RELEASE, "handed back: its worker was stopped")


def unreadable(job: RunningJob, error: Exception) -> Settlement:
    return _for_good(job, f"the stored job cannot be read: {error}", Cause.UNREADABLE)


def unknown_type(job: RunningJob, key: str) -> Settlement:
    """Left to workers that know the type; the store fails it once none came for ten minutes."""
    delay = random.uniform(*UNKNOWN_TYPE_MS) / 1000  # noqa: S311  (spreads load, keeps no secret)
    return _settlement(job, Outcome.UNKNOWN, f"no worker knows the job type {key}", delay, Cause.UNKNOWN_TYPE)


def _failed(job: RunningJob, reason: str, cause: Cause, seconds: float | None = None) -> Settlement:
    return _settlement(job, Outcome.FAIL, reason, seconds, cause)


def _for_good(job: RunningJob, reason: str, cause: Cause) -> Settlement:
    return _settlement(job, Outcome.FAIL_FOR_GOOD, reason, None, cause)


def _settlement(
    job: RunningJob, outcome: Outcome, reason: str, seconds: float | None = None, cause: Cause = Cause.UNSPECIFIED
) -> Settlement:
    """`seconds` until it runs again; None leaves that to the job's backoff."""
    reason = reason if len(reason) <= MAX_REASON_LENGTH else reason[: MAX_REASON_LENGTH - 1] + "…"
    delay = -1 if seconds is None else round(max(seconds, 0) * 1000)
    return Settlement(job.claimed.id, job.claimed.fence, outcome, reason=reason, delay=delay, cause=cause)


def _kind(answer: Any) -> str:
    return answer.DESCRIPTOR.full_name if isinstance(answer, Message) else type(answer).__name__
