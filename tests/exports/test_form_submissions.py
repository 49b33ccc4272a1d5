"""Submissions of a form come out with a column for each field, readable, complete, and for those alone who may see them."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from qcollector.jobs.v1.export_pb2 import ExportFormat, ExportFormSubmissions
from qcollector.jobs.v1.job_pb2 import Caller
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from families.database.connection import open_database, reading, writing
from families.database.encryption import AnswerCipher
from families.database.settings import DatabaseSettings
from families.database.tables import fields, files, submission_data, submissions
from tests.exports.conftest import EVERY_TYPE, INSPECTION, LEAD, ONBOARDING, SATISFACTION, UNUSED, Desk

CSV, JSON, XLSX = ExportFormat.EXPORT_FORMAT_CSV, ExportFormat.EXPORT_FORMAT_JSON, ExportFormat.EXPORT_FORMAT_XLSX


@pytest.fixture
async def data(desk: Desk) -> Any:
    engine = open_database(desk.settings)
    yield engine
    await engine.dispose()


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def finished_of(engine: AsyncEngine, form: str) -> int:
    counted = select(func.count()).where(
        submissions.c.form_id == form, submissions.c.parent_id.is_(None), submissions.c.status != "draft"
    )
    async with reading(engine) as connection:
        return int(await connection.scalar(counted) or 0)


async def test_csv_has_a_row_for_each_submission_newest_first_with_its_answers(desk: Desk, data: AsyncEngine) -> None:
    result = await desk.export(ExportFormSubmissions(form_id=SATISFACTION, format=CSV))
    made = result.metadata
    rows = rows_of(made.file_path)
    assert made.file_name.startswith(f"form_{SATISFACTION}_submissions_")
    assert made.file_name.endswith(".csv")
    assert Path(made.file_path).parent == desk.folder / "submissions"
    assert len(rows) == made.record_count == await finished_of(data, SATISFACTION)
    assert list(rows[0])[:5] == ["submission_id", "submitted_at", "submitted_by", "status", "ชื่อ-นามสกุล"]
    times = [datetime.fromisoformat(row["submitted_at"]) for row in rows]
    assert times == sorted(times, reverse=True)
    assert all("@" in row["อีเมล"] for row in rows if row["อีเมล"])
    assert (result.form_id, result.form_title, result.form_version) == (SATISFACTION, "แบบสำรวจความพึงพอใจลูกค้า", 3)


async def test_every_answer_is_the_one_that_the_database_has(desk: Desk, data: AsyncEngine) -> None:
    made = (await desk.export(ExportFormSubmissions(form_id=SATISFACTION, format=CSV))).metadata
    cipher = AnswerCipher(DatabaseSettings.of(desk.settings).encryption_key)
    async with reading(data) as connection:
        stored = (
            await connection.execute(
                select(submission_data, fields.c.title).join(fields).where(fields.c.form_id == SATISFACTION)
            )
        ).all()
    expected: dict[str, dict[str, str]] = {}
    for row in stored:
        text = row.value_text if row.value_encrypted is None else cipher.decrypt(row.value_encrypted)
        expected.setdefault(str(row.submission_id), {})[row.title] = text
    for line in rows_of(made.file_path):
        answers = {title: text.removeprefix("'") for title, text in list(line.items())[4:] if text}
        assert answers == expected[line["submission_id"]]


async def test_rows_of_sub_forms_are_on_a_sheet_of_their_own(desk: Desk) -> None:
    made = (await desk.export(ExportFormSubmissions(form_id=INSPECTION, format=XLSX))).metadata
    book = load_workbook(made.file_path)
    assert book.sheetnames == ["Submissions", "ข้อบกพร่อง"]
    assert made.worksheet_count == 2
    main, defects = book["Submissions"], book["ข้อบกพร่อง"]
    assert [cell.value for cell in defects[1]] == ["submission_id", "Defect", "Severity", "Due"]
    known = {row[0] for row in main.iter_rows(min_row=2, values_only=True)}
    below = list(defects.iter_rows(min_row=2, values_only=True))
    assert len(known) == made.record_count
    assert len(below) > 1000
    assert {row[0] for row in below} <= known
    assert {row[2] for row in below} == {"low", "medium", "high"}
    assert {type(row[3]) for row in below} == {datetime, type(None)}


async def test_json_nests_rows_and_csv_has_them_as_json(desk: Desk) -> None:
    as_json = (await desk.export(ExportFormSubmissions(form_id=LEAD, format=JSON))).metadata
    as_csv = (await desk.export(ExportFormSubmissions(form_id=LEAD, format=CSV))).metadata
    document = json.loads(Path(as_json.file_path).read_text())
    rows = rows_of(as_csv.file_path)
    assert document["metadata"] | {"exportedAt": ""} == {
        "exportedAt": "",
        "recordCount": as_json.record_count,
        "format": "JSON",
        "version": "1.0",
        "formId": LEAD,
        "formTitle": "Sales lead",
        "formVersion": 1,
        "dateRange": {"start": None, "end": None, "timezone": "UTC"},
    }
    assert [record["submission_id"] for record in document["data"]] == [row["submission_id"] for row in rows]
    for record, row in zip(document["data"], rows, strict=True):
        assert json.loads(row["รายการสินค้า"] or "[]") == record["รายการสินค้า"]
    assert any(len(record["รายการสินค้า"]) == 3 for record in document["data"])
    product = next(record["รายการสินค้า"][0] for record in document["data"] if record["รายการสินค้า"])
    assert set(product) == {"Product", "Quantity", "Price (THB)"}
    assert isinstance(product["Quantity"], int)


async def test_several_choices_places_and_files_are_readable(desk: Desk, data: AsyncEngine) -> None:
    as_csv = (await desk.export(ExportFormSubmissions(form_id=EVERY_TYPE, format=CSV))).metadata
    as_json = (await desk.export(ExportFormSubmissions(form_id=EVERY_TYPE, format=JSON))).metadata
    newest = rows_of(as_csv.file_path)[0]
    record = json.loads(Path(as_json.file_path).read_text())["data"][0]
    assert newest["Choices"] == "; ".join(record["Choices"])
    assert newest["Place"] == f"{record['Place']['lat']}, {record['Place']['lng']}"
    assert isinstance(record["Number"], float)
    async with reading(data) as connection:
        names = (
            await connection.scalars(
                select(files.c.original_name).where(files.c.submission_id == newest["submission_id"])
            )
        ).all()
    assert {newest["File"], newest["Image"]} == set(names)
    assert {record["File"][0]["name"], record["Image"][0]["name"]} == set(names)
    assert record["Image"][0]["mimeType"].startswith("image/")


async def test_cells_of_a_workbook_are_typed_by_their_field(desk: Desk) -> None:
    made = (await desk.export(ExportFormSubmissions(form_id=EVERY_TYPE, format=XLSX))).metadata
    sheet = load_workbook(made.file_path)["Submissions"]
    header = [cell.value for cell in sheet[1]]
    kinds = {name: type(cell.value).__name__ for name, cell in zip(header, sheet[2], strict=True)}
    assert kinds | {"submitted_by": "str"} == {
        "submission_id": "str",
        "submitted_at": "datetime",
        "submitted_by": "str",
        "status": "str",
        **dict.fromkeys(("Short answer", "Paragraph", "Email", "Phone", "URL", "File", "Image", "Choices"), "str"),
        **dict.fromkeys(("Place", "Province", "Factory"), "str"),
        "Number": "float",
        "Date": "datetime",
        "Time": "time",
        "Date and time": "datetime",
        **dict.fromkeys(("Rating", "Slider"), "int"),
    } | {name: kind for name, kind in kinds.items() if kind == "NoneType"}


async def test_a_range_takes_in_the_whole_of_its_last_day_in_its_zone(desk: Desk, data: AsyncEngine) -> None:
    at = {
        "first": datetime(2024, 12, 31, 17, 0, tzinfo=UTC),  # midnight in Bangkok
        "last": datetime(2025, 1, 31, 16, 59, 59, 999999, tzinfo=UTC),
        "early": datetime(2024, 12, 31, 16, 59, 59, 999999, tzinfo=UTC),
        "late": datetime(2025, 1, 31, 17, 0, tzinfo=UTC),
    }
    async with writing(data) as connection:
        ids = (
            await connection.scalars(select(submissions.c.id).where(submissions.c.form_id == ONBOARDING).limit(4))
        ).all()
        await connection.execute(
            update(submissions)
            .where(submissions.c.form_id == ONBOARDING)
            .values(submitted_at=datetime(2020, 1, 1, tzinfo=UTC))
        )
        for number, moment in zip(ids, at.values(), strict=True):
            await connection.execute(
                update(submissions).where(submissions.c.id == number).values(submitted_at=moment, status="submitted")
            )
    within = {"start": "2025-01-01", "end": "2025-01-31", "timezone": "Asia/Bangkok"}
    result = await desk.export(ExportFormSubmissions(form_id=ONBOARDING, format=CSV, date_range=within))
    rows = rows_of(result.metadata.file_path)
    assert [row["submitted_at"] for row in rows] == ["2025-01-31T23:59:59.999999+07:00", "2025-01-01T00:00:00+07:00"]
    assert result.date_range.end == "2025-01-31"


async def test_statuses_choose_what_is_exported(desk: Desk) -> None:
    drafts = ExportFormSubmissions(form_id=LEAD, format=CSV, options={"statuses": ["draft", "rejected"]})
    rows = rows_of((await desk.export(drafts)).metadata.file_path)
    assert {row["status"] for row in rows} == {"draft", "rejected"}


async def test_equal_titles_are_kept_apart(desk: Desk, data: AsyncEngine) -> None:
    async with writing(data) as connection:
        await connection.execute(
            update(fields)
            .where(fields.c.form_id == LEAD, fields.c.title.in_(("Company", "Website", "Telephone")))
            .values(title="status")
        )
    made = (await desk.export(ExportFormSubmissions(form_id=LEAD, format=JSON))).metadata
    record = json.loads(Path(made.file_path).read_text())["data"][0]
    assert [name for name in record if name.startswith("status")] == [
        "status",
        "status (2)",
        "status (3)",
        "status (4)",
    ]
    assert record["status"] in {"submitted", "approved", "rejected", "archived"}


async def test_a_form_that_nobody_filled_in_has_headers_alone(desk: Desk) -> None:
    for kind in (CSV, JSON, XLSX):
        made = (await desk.export(ExportFormSubmissions(form_id=UNUSED, format=kind))).metadata
        assert made.record_count == 0
        assert made.file_size == Path(made.file_path).stat().st_size > 0
        assert list(made.fields)[-1] == "Why do you leave?"


async def test_a_form_is_exported_for_those_who_may_see_it_and_for_nobody_else(desk: Desk) -> None:
    sales = Caller(id="b3d3c2a0-0000-4000-8000-000000000001", role="sales")
    assert (await desk.export(ExportFormSubmissions(form_id=LEAD, format=CSV), sales)).success
    for form in (ONBOARDING, "123", "f0000000-0000-4000-8000-00000000ffff", "' OR 1=1 --"):
        why = await desk.refused(ExportFormSubmissions(form_id=form, format=CSV), sales)
        assert "no form that you may see" in why
    assert len(desk.files()) == 1
