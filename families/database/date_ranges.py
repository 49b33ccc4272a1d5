"""Ranges of days or instants as callers write them, both ends included, as the instants that queries compare with."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

_WRITTEN: Final = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"([Tt ](?P<minute>[0-9]{2}:[0-9]{2})((?P<second>:[0-9]{2})(?P<fraction>\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_MICROSECOND_DIGITS: Final = 6
_SHOWN: Final = 40


class DateRangeError(ValueError):
    """A range that cannot be understood: which of its fields is at fault, and what would be right."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        """start, end or timezone."""
        self.description = description


@dataclass(frozen=True, slots=True)
class DateRange:
    """The instants from `start` on and before `end`, in UTC; None leaves that side open."""

    start: datetime | None
    end: datetime | None
    zone: ZoneInfo
    """What the days are in."""


def date_range(start: str, end: str, timezone: str, default_zone: str) -> DateRange:
    """Reads a range; an empty text is an open end, and an empty zone the default one.

    An end takes in the whole of what it names: its day, or, as an instant, its minute, second or fraction of one. An
    instant without an offset is in the zone.

    Raises:
      DateRangeError: one of them cannot be understood, or the end lies before the start.
    """
    zone = _zone(timezone or default_zone)
    first = _span("start", start, zone)[0] if start else None
    after = _span("end", end, zone)[1] if end else None
    if first is not None and after is not None and after <= first:
        raise DateRangeError("end", "lies before start; swap the two")
    return DateRange(first, after, zone)


def _span(field: str, text: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first instant of what the text names, and the first after it."""
    match = _WRITTEN.fullmatch(text)
    try:
        if match is None:
            raise ValueError  # noqa: TRY301  (told below, as a day that is in no calendar is)
        if match["minute"] is None:
            day = datetime.fromisoformat(match["day"])
            return _instant(day, zone), _instant(day + timedelta(days=1), zone)
        begins = _instant(datetime.fromisoformat(text.upper()), zone)
        return begins, begins + _precision(match)
    except (ValueError, OverflowError):
        raise DateRangeError(
            field, f'{text[:_SHOWN]!r} is no day such as "2025-01-31" and no instant such as "2025-01-31T08:00:00Z"'
        ) from None


def _instant(written: datetime, zone: ZoneInfo) -> datetime:
    """In UTC. A midnight that a change of clocks leaves out is the first instant after it."""
    return (written if written.tzinfo else written.replace(tzinfo=zone)).astimezone(UTC)


def _precision(match: re.Match[str]) -> timedelta:
    if match["fraction"]:
        digits = min(len(match["fraction"]) - 1, _MICROSECOND_DIGITS)
        return timedelta(microseconds=10 ** (_MICROSECOND_DIGITS - digits))
    return timedelta(seconds=1) if match["second"] else timedelta(minutes=1)


def _zone(name: str) -> ZoneInfo:
    if name not in _zones():
        raise DateRangeError("timezone", f"{name[:_SHOWN]!r} is no IANA time zone; write one such as Europe/Berlin")
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
