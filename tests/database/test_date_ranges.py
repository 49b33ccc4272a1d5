"""Ranges take in the whole of their last day in their zone, and what makes no sense is said by its field's name."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from families.database.date_ranges import DateRangeError, date_range


def span(start: str = "", end: str = "", timezone: str = "", default: str = "UTC") -> tuple[datetime | None, ...]:
    read = date_range(start, end, timezone, default)
    return read.start, read.end


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


def test_days_go_from_the_first_midnight_to_the_one_after_the_last_day() -> None:
    assert span("2025-01-01", "2025-12-31") == (utc(2025, 1, 1), utc(2026, 1, 1))
    assert span("2025-01-01", "2025-01-01") == (utc(2025, 1, 1), utc(2025, 1, 2))


def test_days_are_in_the_zone_that_is_named_or_else_in_the_default_one() -> None:
    bangkok = (utc(2024, 12, 31, 17), utc(2025, 1, 1, 17))
    assert span("2025-01-01", "2025-01-01", "Asia/Bangkok") == bangkok
    assert span("2025-01-01", "2025-01-01", default="Asia/Bangkok") == bangkok


def test_a_day_on_which_clocks_change_is_taken_as_long_as_it_is() -> None:
    start, end = span("2025-03-30", "2025-03-30", "Europe/Berlin")
    assert end is not None
    assert start is not None
    assert end - start == timedelta(hours=23)


def test_a_day_without_a_midnight_begins_at_its_first_instant() -> None:
    assert span("2018-11-04", "", "America/Sao_Paulo")[0] == utc(2018, 11, 4, 3)


def test_open_ends_stay_open() -> None:
    assert span() == (None, None)
    assert span("2025-01-01") == (utc(2025, 1, 1), None)
    assert span(end="2025-01-01") == (None, utc(2025, 1, 2))


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("2025-01-31T08:00:00Z", utc(2025, 1, 31, 8)),
        ("2025-01-31T08:00:00+07:00", utc(2025, 1, 31, 1)),
        ("2025-01-31t08:00:00z", utc(2025, 1, 31, 8)),
        ("2025-01-31 08:00", utc(2025, 1, 31, 1)),
        ("2025-01-31T08:00:00.123456789Z", utc(2025, 1, 31, 8, 0, 0, 123456)),
    ],
)
def test_an_instant_has_its_own_offset_or_is_in_the_zone(text: str, begins: datetime) -> None:
    assert span(text, timezone="Asia/Bangkok")[0] == begins


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("2025-01-31T08:00Z", utc(2025, 1, 31, 8, 1)),
        ("2025-01-31T08:00:00Z", utc(2025, 1, 31, 8, 0, 1)),
        ("2025-01-31T23:59:59.999Z", utc(2025, 2, 1)),
        ("2025-01-31T08:00:00.000000Z", utc(2025, 1, 31, 8, 0, 0, 1)),
    ],
)
def test_an_end_takes_in_the_whole_of_what_it_names(text: str, after: datetime) -> None:
    assert span(end=text)[1] == after


@pytest.mark.parametrize(
    "text",
    [
        *("2025-02-30", "2025-13-01", "01.02.2025", "2025", "2025-W01-1", "20250101", "2025-01-01T", "yesterday"),
        *("2025-01-01T25:00:00Z", "2025-01-01T08:00:60Z", "0001-01-01T00:00:00+10:00", "2025-01-01T08:00:00+99:00"),
        *(" 2025-01-01", "2025-01-01\n", "\u0662025-01-01", "2025-01-01'; DROP TABLE forms--", "0000-01-01"),
    ],
)
@pytest.mark.parametrize("field", ["start", "end"])
def test_what_is_neither_day_nor_instant_is_refused_by_the_fields_name(field: str, text: str) -> None:
    with pytest.raises(DateRangeError) as refused:
        span(**{field: text})
    assert refused.value.field == field
    assert "2025-01-31" in refused.value.description


def test_the_last_day_of_the_calendar_has_no_day_after_it() -> None:
    with pytest.raises(DateRangeError, match="end"):
        span(end="9999-12-31")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "utc+7", "\0"])
def test_a_zone_that_there_is_not_is_refused(zone: str) -> None:
    with pytest.raises(DateRangeError, match="Europe/Berlin") as refused:
        span(timezone=zone)
    assert refused.value.field == "timezone"


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(DateRangeError, match="swap") as refused:
        span("2025-02-01", "2025-01-31")
    assert refused.value.field == "end"


def test_what_is_shown_of_a_long_text_is_short() -> None:
    with pytest.raises(DateRangeError) as refused:
        span("9" * 10_000_000)
    assert len(str(refused.value)) < 200


@given(st.text(max_size=40))
def test_no_text_is_anything_but_read_or_refused(text: str) -> None:
    try:
        span(text, text, text)
    except DateRangeError:
        return
    assert text == ""
