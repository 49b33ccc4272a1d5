"""What a job is to the engine: its states, and the records that travel between the callers and the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

import msgspec
from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope
from qcollector.jobs.v1.job_pb2 import JobFailureCause, JobState


class State(StrEnum):
    """Where a job stands, by the letter that the store keeps."""

    WAITING = "w"
    DELAYED = "d"
    ACTIVE = "a"
    COMPLETED = "c"
    FAILED = "f"
    CANCELLED = "x"
    BLOCKED = "b"

    @property
    def finished(self) -> bool:
        return self in FINISHED

    @property
    def proto(self) -> JobState.ValueType:
        return PROTO_STATES[self]


FINISHED: Final = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
PROTO_STATES: Final = {state: JobState.Value(f"JOB_STATE_{state.name}") for state in State}
STATES_BY_PROTO: Final = {value: state for state, value in PROTO_STATES.items()}


class Cause(IntEnum):
    """Why a job failed for good, by the number that the store keeps and the contract tells (JobFailureCause)."""

    UNSPECIFIED = 0
    """It has not failed, or under a release that told no cause."""
    HANDLER_ERROR = 1
    HANDLER_GAVE_UP = 2
    TIMED_OUT = 3
    EXPIRED = 4
    STALLED = 5
    UNKNOWN_TYPE = 6
    UNUSABLE_RESULT = 7
    UNREADABLE = 8

    @property
    def proto(self) -> JobFailureCause.ValueType:
        return PROTO_CAUSES[self]

    @classmethod
    def _missing_(cls, _value: object) -> "Cause":
        """What only a newer release knows."""
        return cls.UNSPECIFIED


PROTO_CAUSES: Final = {cause: JobFailureCause.Value(f"JOB_FAILURE_CAUSE_{cause.name}") for cause in Cause}


class Enqueued(msgspec.Struct, frozen=True, gc=False):
    """A job that is in the store."""

    id: str
    state: State | None
    """None for the job of an earlier request that is no longer held."""
    created: int
    """Unix time in milliseconds, by the store's clock."""
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt."""

    time: int
    reason: str
    worker: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the store has it. Times are Unix milliseconds, 0 where there is none."""

    id: str
    state: State
    envelope: JobEnvelope
    secret: bytes
    """The whole payload with its sensitive values while they are stored, else empty."""
    starts: int
    fails: int
    max_attempts: int
    priority: int
    created: int
    ready: int
    """When it became, or becomes, ready to run."""
    started: int
    finished: int
    progress: float
    stalls: int
    worker: str
    result: bytes
    """The result message, serialized; empty until it completed."""
    failed_reason: str
    failures: tuple[Failure, ...]
    expire_at: int = 0
    cause: Cause = Cause.UNSPECIFIED
    """Why it failed for good; of a job in another state always unspecified."""

    @property
    def attempts_made(self) -> int:
        return self.fails + (1 if self.state is State.COMPLETED else 0)


class ClaimedJob(msgspec.Struct, frozen=True, gc=False):
    """A job that this worker holds a lease on."""

    id: str
    fence: int
    """How often the job has been started: whatever this worker reports of it must carry this number."""
    fails: int
    """Attempts that failed before this one."""
    max_attempts: int
    created: int
    ready: int
    envelope: bytes
    secret: bytes
    checkpoint: bytes


class Outcome(StrEnum):
    """How an attempt ended, by the letter that the store reads."""

    COMPLETE = "c"
    FAIL = "f"
    """Counts as an attempt. While attempts are left: again by the job's backoff, or after `delay` unless it is -1."""
    FAIL_FOR_GOOD = "g"
    SNOOZE = "s"
    """Again after `delay`; counts as no attempt."""
    RELEASE = "r"
    """Back to its old place at once; counts as no attempt."""
    UNKNOWN = "u"
    """This worker does not know the type: as SNOOZE, but fails for good ten minutes after the first of them in a row."""


class Loss(StrEnum):
    """Why a start of a job is no longer its worker's, by the word that the store answers."""

    CANCELLED = "cancelled"
    LOST = "lost"
    """Its lease ran out, or the store knows nothing of it any more."""


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What a worker reports at the end of an attempt."""

    id: str
    fence: int
    outcome: Outcome
    result: bytes = b""
    reason: str = ""
    delay: int = -1
    """Milliseconds; -1 takes the job's backoff."""
    cause: Cause = Cause.UNSPECIFIED
    """Why the attempt failed, if it did; becomes the job's if no other one follows."""


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What the store answers to a worker that settles and asks for more."""

    jobs: tuple[ClaimedJob, ...]
    lost: Mapping[str, Loss] = {}
    """Settled jobs that were no longer this worker's."""
    due_in: int = 0
    """Milliseconds until something becomes due; 0 means nothing is known to."""


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs of a queue. All conditions hold together; an empty one holds always.

    Times are Unix milliseconds, of any sign.
    """

    states: frozenset[State] = frozenset()
    type: str = ""
    owner: str = ""
    created_after: int = 0
    created_before: int | None = None
    """None is no bound, for 0 is a time."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class JobPage:
    jobs: tuple[JobRecord, ...]
    next_token: str = ""
    scanned: int = 0
    """Jobs that were looked at for it."""


@dataclass(frozen=True, slots=True)
class LogLine:
    time: int
    message: str


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Limits over all workers; 0 means none."""

    max_active: int = 0
    rate_max: int = 0
    rate_period: int = 0
    """Milliseconds."""

    @property
    def etag(self) -> str:
        """Stands for these limits: equal ones have the same, whoever set them."""
        return f"{self.max_active}-{self.rate_max}-{self.rate_period}"


@dataclass(frozen=True, slots=True)
class Quantiles:
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True, slots=True)
class QueuePause:
    """Who paused a queue, when (milliseconds; 0 if nobody knows) and why."""

    time: int
    by: bytes
    """A Caller, serialized."""
    reason: str


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """A queue at one instant: `counts` are exact. Times are milliseconds."""

    name: str
    paused: bool
    counts: dict[State, int]
    totals: dict[State, int]
    """Jobs that ended since the queue began, by final state."""
    set_aside: int
    """Of the waiting jobs, those that wait until fewer of their caller's run."""
    oldest_waiting_age: int
    completed_per_minute: float
    failed_per_minute: float
    wait: Quantiles
    run: Quantiles
    limits: QueueLimits
    pause: QueuePause | None = None
    last_event: str = field(default="0-0", compare=False)


class EventKind(StrEnum):
    """What happened to a job, by the letter that the store keeps."""

    STATE = "s"
    PROGRESS = "p"
    LOG = "l"
    REMOVED = "-"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One change of one job, as watchers get it."""

    queue: str
    job_id: str
    sequence: str
    """Place in the queue's event stream: `<ms>-<n>-<index>`."""
    time: int
    kind: EventKind
    state: State | None
    """Where the job then stood; None once it was removed."""
    progress: float
    text: str
    """The reason of a change, the name of a step or a log line: the first 200 characters."""

    @property
    def ends(self) -> bool:
        return self.state is None or self.state.finished
