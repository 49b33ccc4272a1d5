"""Moments as the contract has them, and the ranges that periods amount to."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.analytics_pb2 import AnalyticsPeriod

from base.date_ranges import DateRange
from engine.json_scalars import enum_words

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
    local = now.astimezone(zone)
    begins = {
        "day": (local.year, local.month, local.day),
        "month": (local.year, local.month, 1),
        "quarter": (local.year, local.month - (local.month - 1) % _QUARTER, 1),
        "year": (local.year, 1, 1),
    }[word]
    return DateRange(datetime(*begins, tzinfo=zone).astimezone(UTC), now, zone)


def timestamp(moment: datetime | None) -> Timestamp | None:
    """None stays None: a field that is not set."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
