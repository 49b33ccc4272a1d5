"""Which jobs a caller means: the filters of the contract as the engine's queries."""

from collections.abc import Iterable
from typing import Final, Literal, Protocol

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.job_pb2 import JobState

from contract.catalog import Catalog
from contract.errors import FieldProblem, RequestInvalidError
from contract.times import milliseconds
from engine.jobs import STATES_BY_PROTO, JobQuery, State

ALL_QUEUES: Final = "-"
"""In a queue's place: every queue."""

Bound = Literal["created_after", "created_before"]


class Filter(Protocol):
    """What JobFilter and ListJobsRequest have in common."""

    @property
    def states(self) -> Iterable[JobState.ValueType]: ...
    @property
    def job_type(self) -> str: ...
    @property
    def created_by(self) -> str: ...
    @property
    def created_after(self) -> Timestamp: ...
    @property
    def created_before(self) -> Timestamp: ...
    @property
    def text(self) -> str: ...
    def HasField(self, field_name: Bound, /) -> bool: ...  # noqa: N802  (the messages' own)


def job_query(wanted: Filter, queue: str, catalog: Catalog, owner: str, path: str = "") -> JobQuery:
    """The query that `wanted` stands for, narrowed to one owner's jobs where `owner` is set.

    Raises:
      JobTypeUnknownError: the queue has no such type.
      RequestInvalidError: names the state or time at fault, below `path`.
    """
    after = _bound(wanted, "created_after", f"{path}createdAfter")
    before = _bound(wanted, "created_before", f"{path}createdBefore")
    if after is not None and before is not None and after > before:
        said = "is before createdAfter, so that no job can match; exchange the two"
        raise RequestInvalidError([FieldProblem(f"{path}createdBefore", "range", said)])
    return JobQuery(
        states=frozenset(_state(state, f"{path}states[{place}]") for place, state in enumerate(wanted.states)),
        type=catalog.type(queue, wanted.job_type).type if wanted.job_type else "",
        owner=owner,
        created_after=after or 0,
        created_before=before,
        text=wanted.text,
    )


def _bound(wanted: Filter, field: Bound, name: str) -> int | None:
    """Unix milliseconds; None where it is not set. Jobs are created at whole ones, so parts of one are rounded up."""
    if not wanted.HasField(field):
        return None
    time = wanted.created_after if field == "created_after" else wanted.created_before
    return milliseconds(time, name) + (time.nanos % 1_000_000 > 0)


def _state(state: JobState.ValueType, field: str) -> State:
    if state not in STATES_BY_PROTO:
        raise RequestInvalidError([FieldProblem(field, "enum.defined_only", "is no state; leave it out to mean all")])
    return STATES_BY_PROTO[state]
