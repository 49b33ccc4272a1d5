"""Who may do what: one rule for each RPC, checked before its servicer runs, and the rules about single jobs."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from qcollector.jobs.v1.options_pb2 import Role

from contract.catalog import JobType
from contract.errors import JobNotFoundError, RoleInsufficientError
from engine.jobs import JobRecord
from service.auth import LEVELS, Principal


class Access(Enum):
    """Who may make a call."""

    ANYBODY = auto()
    """Whoever is signed in."""
    BY_TYPE = auto()
    """Whom the job type's minimum role admits; the servicer asks `require_type`."""
    OWNER = auto()
    """Who enqueued the job, and administrators; the servicer asks `require_owner` or narrows what is listed."""
    SUBJECT = auto()
    """Who may see what the answer is about; the servicer decides."""
    ADMIN = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """What the boundary knows of an RPC."""

    access: Access
    changes: bool = False
    """It changes something: each call is logged at info."""
    lasting: bool = False
    """It may wait for long: when the service stops it is told so, rather than waited for."""
    checks: bool = False
    """The servicer itself holds the request against the contract's rules."""
    by_link: bool = False
    """A signed link in the request takes the place of a token."""


ENQUEUE: Final = Rule(Access.BY_TYPE, changes=True)
_LOOK: Final = Rule(Access.ANYBODY)
_STEER: Final = Rule(Access.ADMIN, changes=True)

JOB_SERVICE: Final = {
    "EnqueueJob": Rule(Access.BY_TYPE, changes=True, checks=True),
    "BatchEnqueueJobs": ENQUEUE,
    "StreamEnqueueJobs": ENQUEUE,
    "ListQueueStats": _LOOK,
    "GetQueueStats": _LOOK,
    "GetJob": Rule(Access.OWNER, lasting=True),
    "ListJobs": Rule(Access.OWNER),
    "WatchJob": Rule(Access.OWNER, lasting=True),
    "WatchQueues": Rule(Access.ANYBODY, lasting=True),
    "ListJobLogs": Rule(Access.OWNER),
    "DownloadResult": Rule(Access.OWNER, by_link=True),
    "CancelJob": Rule(Access.OWNER, changes=True),
    "RetryJob": _STEER,
    "PromoteJob": _STEER,
    "DeleteJob": _STEER,
    "BatchCancelJobs": _STEER,
    "BatchRetryJobs": _STEER,
    "BatchDeleteJobs": _STEER,
    "BatchPromoteJobs": _STEER,
    "PauseQueue": _STEER,
    "ResumeQueue": _STEER,
    "CleanQueue": _STEER,
    "UpdateQueue": _STEER,
    "GetDashboard": _LOOK,
    "CheckHealth": _LOOK,
    "CheckEmailHealth": _LOOK,
    "ListWorkers": _LOOK,
    "ListJobTypes": _LOOK,
}
SCHEDULE_SERVICE: Final = {
    "ListSchedules": _LOOK,
    "GetSchedule": _LOOK,
    "CreateSchedule": _STEER,
    "UpdateSchedule": _STEER,
    "DeleteSchedule": _STEER,
    "PauseSchedule": _STEER,
    "ResumeSchedule": _STEER,
    "TriggerSchedule": _STEER,
    "ListScheduleRuns": _LOOK,
    "PreviewSchedule": _LOOK,
}


def require_role(rule: Rule, principal: Principal) -> None:
    """Raises RoleInsufficientError if the rule is for administrators and the caller is none."""
    if rule.access is Access.ADMIN and not principal.is_admin:
        raise _insufficient(principal, Role.ROLE_ADMIN)


def require_type(principal: Principal, job_type: JobType) -> None:
    """Raises RoleInsufficientError if the caller may not enqueue jobs of that type."""
    if principal.level < job_type.minimum_role:
        raise _insufficient(principal, job_type.minimum_role)


def require_full_view(principal: Principal) -> None:
    """Raises RoleInsufficientError if the caller may not see sensitive values."""
    if principal.level < Role.ROLE_SUPER_ADMIN:
        raise _insufficient(principal, Role.ROLE_SUPER_ADMIN)


def creator(record: JobRecord) -> Principal:
    """Who enqueued a job, as far as the job tells."""
    by = record.envelope.created_by
    return Principal(by.id, by.name, by.role, LEVELS.get(by.role, Role.ROLE_USER))


def require_owner(principal: Principal, record: JobRecord | None, queue: str, job_id: str) -> JobRecord:
    """The job. Somebody else's looks to a caller as if it were not there.

    Raises:
      JobNotFoundError: there is none, or it is not the caller's.
    """
    if record is None or not (principal.is_admin or record.envelope.created_by.id == principal.id):
        raise JobNotFoundError(f"{queue} holds no job {job_id!r}.", queue=queue, job=job_id)
    return record


def role_word(level: Role.ValueType) -> str:
    """The word of a role as tokens have it; "user" stands for any other word."""
    return next((word for word, of in LEVELS.items() if of == level), "user")


def _insufficient(principal: Principal, required: Role.ValueType) -> RoleInsufficientError:
    word = role_word(required)
    return RoleInsufficientError(
        f"the role {principal.role!r} does not admit this call; it takes {word} or more",
        role=principal.role,
        required=word,
    )
