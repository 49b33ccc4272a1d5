"""Times: Unix milliseconds, which the engine has, datetimes, and the contract's Timestamps."""

from datetime import UTC, datetime
from typing import Final, overload

from google.protobuf.timestamp_pb2 import Timestamp

from contract.errors import FieldProblem, RequestInvalidError

_FIRST_SECOND: Final = -62135596800
_LAST_SECOND: Final = 253402300799
"""The years 1 to 9999, which a Timestamp may hold."""


def timestamp(milliseconds: int) -> Timestamp | None:
    """None, which leaves a field unset, for 0."""
    if not milliseconds:
        return None
    return Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def milliseconds(time: Timestamp, field: str) -> int:
    """Unix time; 0 for an unset Timestamp. Raises RequestInvalidError, naming `field`, for one that holds no time."""
    if not _FIRST_SECOND <= time.seconds <= _LAST_SECOND or not 0 <= time.nanos < 1_000_000_000:  # noqa: PLR2004
        raise RequestInvalidError(
            [FieldProblem(field, "timestamp", "is outside the years 1 to 9999, or has nanos outside a second")]
        )
    return time.seconds * 1000 + time.nanos // 1_000_000


@overload
def timestamp_of(moment: datetime) -> Timestamp: ...
@overload
def timestamp_of(moment: datetime | None) -> Timestamp | None: ...
def timestamp_of(moment: datetime | None) -> Timestamp | None:
    """None, which leaves a field unset, for None."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def milliseconds_of(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def moment(ms: int) -> datetime:
    """In UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)
