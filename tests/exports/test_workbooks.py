"""Cells of workbooks as openpyxl reads them back: each value is what was written, alone or among others of its column."""

# ruff: noqa: DTZ001  (Excel knows no zones)

import itertools
import math
import re
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from base.output_names import maker
from base.produced import Record
from families.exports.drafts import Draft
from families.exports.excel_writer import ExcelWriter
from families.exports.values import inert

_numbers = itertools.count()

texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40)
moments = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9998, 12, 31), timezones=st.just(UTC))
columns = st.one_of(
    *(
        st.lists(st.one_of(st.none(), kind), min_size=1, max_size=6)
        for kind in (texts, st.integers(), st.floats(), st.booleans(), moments, st.dates(date(1900, 1, 1)), st.times())
    ),
    st.lists(st.one_of(st.none(), texts, st.integers(), st.floats(), st.booleans(), moments, st.uuids()), max_size=6),
)


def read_back(folder: Path, rows: Sequence[Sequence[Any]], zone: Any = UTC) -> list[list[Any]]:
    draft = Draft(folder, f"job{next(_numbers)}", 1)
    draft.open()
    writer = ExcelWriter(draft, zone)
    writer.write(writer.add_sheet("Rows", [f"c{place}" for place in range(len(rows[0]))]), rows)
    writer.end()
    place = folder / f"{next(_numbers)}.xlsx"
    draft.publish(place, 0, Record(folder), maker("export:data", place.stem))
    with closing(load_workbook(place)) as book:
        cells = [list(row) for row in book["Rows"].iter_rows(min_row=2, max_col=len(rows[0]))]
        assert not [cell for row in cells for cell in row if cell.data_type in "fe"], "no formula, no error"
        return [[cell.value for cell in row] for row in cells]


def expected(value: Any) -> Any:
    """What openpyxl reads where that value was written."""
    match value:
        case None | "":
            return None
        case bool():
            return value
        case int() | float():
            return (
                value if math.isfinite(value) and not (isinstance(value, int) and abs(value) >= 10**15) else str(value)
            )
        case datetime():
            return value.replace(tzinfo=None)
        case str():
            return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", inert(value))
        case _:
            return value


def same(read: Any, value: Any) -> bool:
    """Excel keeps times as numbers, which openpyxl reads to the millisecond, and days as moments."""
    if isinstance(value, time):
        day = datetime(2026, 1, 1)
        read = datetime.combine(day, read) if isinstance(read, time) else read
        return bool(abs(read - datetime.combine(day, value)) <= timedelta(milliseconds=1)) or value > time(23, 59, 59)
    if isinstance(value, datetime):
        return bool(abs(read - value) <= timedelta(milliseconds=1))
    if isinstance(value, date):
        return bool(read == datetime.combine(value, time()))
    if isinstance(value, float) and isinstance(read, float | int):
        return math.isclose(read, value, rel_tol=1e-15)
    return bool(read == (str(value) if isinstance(value, UUID) else value)) and isinstance(read, bool) is isinstance(
        value, bool
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(column=columns.filter(lambda column: any(value not in {None, ""} for value in column)))
def test_every_value_comes_back_as_it_was(tmp_path: Path, column: list[Any]) -> None:
    rows = [["before", value, "after"] for value in column]
    read = read_back(tmp_path, rows)
    assert [(row[0], row[2]) for row in read] == [("before", "after")] * len(rows)
    wrong = [(row[1], value) for row, value in zip(read, column, strict=True) if not same(row[1], expected(value))]
    assert wrong == []


@pytest.mark.parametrize(
    "text", ["#N/A", "#REF!", "1e5", "TRUE", "  edge ", "a\nb", "a\r\nb", "x\r", "]]>", "&#13;", "&amp;"]
)
def test_text_that_means_something_elsewhere_stays_text(tmp_path: Path, text: str) -> None:
    assert read_back(tmp_path, [[text], ["other"]])[0] == [text]


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(1900, 1, 1), datetime(1900, 1, 1)),
        (datetime(1900, 2, 28, 12), datetime(1900, 2, 28, 12)),
        (datetime(1900, 3, 1), datetime(1900, 3, 1)),
        (datetime(1899, 12, 31), "1899-12-31T00:00:00"),
        (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 3, 29, 3)),
        (datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=-5))), datetime(2026, 7, 1, 7)),
        (date(1899, 12, 31), "1899-12-31"),
    ],
)
def test_times_are_shown_in_the_zone_from_the_first_day_that_excel_knows(
    tmp_path: Path, moment: date, shown: Any
) -> None:
    assert read_back(tmp_path, [[moment]], ZoneInfo("Europe/Berlin")) == [[shown]]


def test_truncated_cells_are_counted_and_the_first_are_named_by_sheet_and_place(tmp_path: Path) -> None:
    draft = Draft(tmp_path, "job", 1)
    draft.open()
    writer = ExcelWriter(draft)
    first, second = writer.add_sheet("A", ["a", "b"]), writer.add_sheet("B", ["a"])
    long = "x" * 40_000
    writer.write(first, [["x", long], [None, ["y" * 40_000]], ["x" * 32_767, 1]])
    for _ in range(30):
        writer.write(second, [[None], [long], ["x"]])
    writer.end()
    draft.discard()
    assert writer.truncated == 32
    assert writer.places[:5] == ["A!B2", "A!B3", "B!A3", "B!A6", "B!A9"]
    assert len(writer.places) == 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\U0001f600" * 16_383, "\U0001f600" * 16_383),
        ("\U0001f600" * 16_384, "\U0001f600" * 16_383 + "…"),
        ("x" + "\U0001f600" * 16_383, "x" + "\U0001f600" * 16_383),
        ("x" + "\U0001f600" * 16_384, "x" + "\U0001f600" * 16_382 + "…"),
    ],
)
def test_excel_counts_characters_in_utf16(tmp_path: Path, text: str, shown: str) -> None:
    assert read_back(tmp_path, [[text]]) == [[shown]]
