"""What the scripts and the code agree on: the places in records and rows, and the values that stand for something.

Each is defined here or in engine/jobs.py, and nowhere else. A script writes `record[Record.state] == State.ACTIVE`, and the
loader puts the place, counted from 1 as Lua does, or the value there (engine/lua_names.py). Fields with a default came later:
what an older release has stored lacks them.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Any, Final, NamedTuple, Self, TypeVar

from engine.jobs import Cause, EventKind, Loss, Outcome, State

R = TypeVar("R", bound=NamedTuple)


def rows_of(kind: type[R], flat: Sequence[Any]) -> Iterator[R]:
    """The rows that lie one after the other in what a script answers."""
    return map(kind._make, zip(*[iter(flat)] * len(kind._fields), strict=True))


class Record(NamedTuple):
    """What the store keeps of a job's state, packed. Times are Unix milliseconds, 0 where there is none."""

    state: str
    starts: int
    fails: int
    max_attempts: int
    priority: int
    exponential: int
    backoff: int
    jitter: float
    worker: str
    created: int
    ready: int
    started: int
    finished: int
    stalls: int
    seq: int
    """Its number in its queue: jobs of one priority start in this order."""
    expire_at: int
    keep: int
    """Milliseconds that it stays beyond its end; 0 leaves that to its queue's retention."""
    progress: float
    logs: int
    """Lines that were written."""
    custom: int
    """1 where its id is the caller's own."""
    type: str
    owner: str
    unknown_since: int
    """When the first of the starts in a row was whose worker did not know the type."""
    secret: int
    checkpoint: int
    """1 where one is stored."""
    failures: int
    """Failed attempts that are stored."""
    size: int = 0
    """Bytes of the envelope."""
    cause: int = 0
    """Why it failed for good. Only a job that did has it, so that others are no larger."""

    @classmethod
    def read(cls, places: Sequence[Any]) -> Self:
        """A newer release may have added further places."""
        return cls(*places[: len(cls._fields)])


class Secret(IntEnum):
    """What has become of a payload with sensitive values."""

    NONE = 0
    STORED = 1
    PURGED = 2


class EnqueueRow(NamedTuple):
    """A job that enqueue.lua is to store."""

    id: str
    envelope: bytes
    secret: bytes
    type: str
    owner: str
    priority: int
    delay: int
    run_at: int
    expire_at: int
    attempts: int
    exponential: int
    backoff: int
    jitter: float
    keep: int
    digest: bytes
    request: bytes
    request_digest: bytes


class EnqueueAnswer(NamedTuple):
    verdict: int
    id: bytes
    """The job of an earlier request; else empty."""
    state: bytes
    """Empty where the job is gone and its id was the service's."""
    created: int


class Verdict(IntEnum):
    """What enqueue.lua says of a row."""

    STORED = 1
    KNOWN = 2
    """It is there already."""
    ID_TAKEN = 3
    BACKLOG_FULL = 4
    REQUEST_TAKEN = 5


class KnownId(NamedTuple):
    """What is kept of a job's id that is the caller's own."""

    digest: bytes
    created: int
    state: str
    """Where the job stood when it was forgotten."""


class KnownRequest(NamedTuple):
    """What is kept of a request id."""

    digest: bytes
    id: str
    """The job that came of it."""
    asked: int
    created: int
    """When that job was."""


class ClaimedRow(NamedTuple):
    """A job that was leased to a worker."""

    id: bytes
    fence: int
    fails: int
    max_attempts: int
    created: int
    ready: int
    envelope: bytes
    secret: bytes
    checkpoint: bytes


class SettleItem(NamedTuple):
    """How an attempt ended."""

    id: str
    fence: int
    outcome: str
    output: bytes | str
    """The result of one that completed, otherwise the reason."""
    delay: int
    """Milliseconds; -1 takes the job's backoff."""
    cause: int


class LeaseItem(NamedTuple):
    """A lease that is to be renewed."""

    id: str
    fence: int


class NoteItem(NamedTuple):
    """What a running job says."""

    id: str
    fence: int
    progress: float
    """-1 leaves it."""
    messages: Sequence[str]
    """Kind ("step" or "log"), text, kind, text …"""
    checkpoint: bytes | bool
    """False leaves it."""


class FailureEntry(NamedTuple):
    """An attempt that failed, in a job's history."""

    time: int
    reason: str
    worker: str


class LogEntry(NamedTuple):
    time: int
    message: str


class EventEntry(NamedTuple):
    """What happened to a job, as the stream has it."""

    id: str
    state: str
    progress: float
    text: str


class Filter(NamedTuple):
    """Which jobs are looked for; see include/match.lua."""

    states: str
    type: str
    owner: str
    created_after: int
    created_before: int
    """0 for no bound."""
    text: str


class Stride(NamedTuple):
    """How far one call of list.lua or walk.lua came. Its rows follow."""

    usable: int
    """0, and nothing else: the indexes are behind, and `upgrade` must run first."""
    now: int
    looked_at: int
    place: bytes
    """Where to go on; empty where nothing was looked at."""
    at_end: int
    begun_id: bytes
    """A job that was searched in part, as its text is long."""
    begun: int
    """How many windows of it were searched."""


class FoundRow(NamedTuple):
    """A job that matches."""

    id: bytes
    score: bytes | int
    state: bytes
    secret: int


class StateRow(NamedTuple):
    """Where a job stands."""

    state: bytes
    """Empty where there is no such job."""
    secret: int


class Refusal(StrEnum):
    """What an action answers in place of the state of a job that it has left as it was."""

    PURGED = "P"
    """It cannot run again, as its sensitive values are gone."""


class ListedJob(NamedTuple):
    """A job as lists show it; None for what there is not."""

    record: bytes | None
    envelope: bytes | None
    output: bytes | None
    failures: bytes | None


class WholeJob(NamedTuple):
    """All that is kept of a job; None for what there is not."""

    record: bytes | None
    envelope: bytes | None
    secret: bytes | None
    output: bytes | None
    failures: bytes | None


class MinuteSlot(NamedTuple):
    """What happened in one minute."""

    minute: int
    completed: int
    failed: int
    cancelled: int
    waits: Mapping[str, int] | Sequence[Any]
    """How many jobs waited how long, by bucket; see include/tally.lua. An empty one is packed as a list."""
    runs: Mapping[str, int] | Sequence[Any]


class Statistics(NamedTuple):
    """A queue at one instant."""

    now: int
    waiting: int
    """With those set aside."""
    delayed: int
    active: int
    completed: int
    failed: int
    cancelled: int
    meta: Sequence[bytes]
    oldest: int
    """When the job that waits longest became ready; 0 where none waits."""
    slots: Sequence[bytes]
    last_event: bytes
    set_aside: int


class Limits(NamedTuple):
    """The limits of a queue that a change expects to be in force."""

    max_active: int
    rate_max: int
    rate_period: int


class Sweep(StrEnum):
    """What upgrade.lua sweeps; a finished state stands for its jobs with a stay of their own. A cursor follows it."""

    RECORDS = "s"
    INDEX = "i"
    OWNED = "o"


class ScheduleRow(NamedTuple):
    """What the store keeps of a schedule."""

    name: bytes
    record: bytes
    since: bytes
    """What its slots count from, in milliseconds."""
    fired: bytes
    """The slot fired last; 0 for none."""
    fault: bytes
    """Why it could not fire when that was tried last; empty for nothing."""


class RunEntry(NamedTuple):
    """A job that a schedule enqueued."""

    slot: int
    time: int
    job_id: str
    triggered: bool


class Change(IntEnum):
    """What became of a change of a schedule."""

    DONE = 1
    OVERTAKEN = 0
    """The store holds another record than was expected."""
    MISSING = -1
    """There is no such schedule."""


class ReportRow(NamedTuple):
    """A process that lives."""

    worker: bytes
    spoke: bytes
    report: bytes


VALUES: Final[Mapping[str, type[StrEnum] | type[IntEnum]]] = {
    kind.__name__: kind for kind in (State, Outcome, Cause, Loss, EventKind, Verdict, Secret, Refusal, Sweep, Change)
}
_ROWS: Final[tuple[type[NamedTuple], ...]] = (
    *(Record, EnqueueRow, EnqueueAnswer, KnownId, KnownRequest, ClaimedRow, SettleItem, LeaseItem, NoteItem),
    *(FailureEntry, LogEntry, EventEntry, Filter, Stride, FoundRow, StateRow, ListedJob, WholeJob, MinuteSlot),
    *(Statistics, Limits, ScheduleRow, RunEntry, ReportRow),
)
ROWS: Final[Mapping[str, tuple[str, ...]]] = {row.__name__: row._fields for row in _ROWS}
"""The names of the places of each, in order."""
OPTIONAL: Final[Mapping[str, frozenset[str]]] = {row.__name__: frozenset(row._field_defaults) for row in _ROWS}
