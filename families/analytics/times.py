"""Moments as the contract has them, and the ranges that periods amount to."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from qcollector.jobs.v1.analytics_pb2 import AnalyticsPeriod

from contract.json_scalars import enum_words
from families.database.date_ranges import DateRange

_WORDS: Final = {number: word for word, number in enum_words(AnalyticsPeriod.DESCRIPTOR).items()}
_QUARTER: Final = 3
"""Months."""


def period_word(period: AnalyticsPeriod.ValueType) -> str:
    """The period's documented word; a period that is not set is a month."""
    return _WORDS[period or AnalyticsPeriod.ANALYTICS_PERIOD_MONTH]


def period_range(word: str, now: datetime, zone: ZoneInfo) -> DateRange:
    """From the period's beginning to now. Midnights are those of the zone."""
    if word == "week":
        return DateRange(now - timedelta(days=7), now, zone)
    return DateRange(_midnight(_first_day(word, now.astimezone(zone).date()), zone), now, zone)


def ended_range(word: str, moment: datetime, zone: ZoneInfo) -> DateRange:
    """The last whole period that has ended by that moment: the one before the period that holds it. Weeks begin on Monday."""
    end = _first_day(word, moment.astimezone(zone).date())
    start = _first_day(word, end - timedelta(days=1))
    return DateRange(_midnight(start, zone), _midnight(end, zone), zone)


def _first_day(word: str, day: date) -> date:
    """Of the period that holds the day."""
    return {
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "quarter": day.replace(month=day.month - (day.month - 1) % _QUARTER, day=1),
        "year": day.replace(month=1, day=1),
    }[word]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """In UTC. A midnight that a change of clocks leaves out is the first instant after it."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
