"""Whatever people have put into the database comes out as text that does nothing, and spoils no file."""

import csv
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportExcel, ExportFormat, ExportFormSubmissions, ExportJson
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from families.database.connection import open_database, reading, writing
from families.database.tables import fields, forms, sub_forms, submission_data, submissions
from families.exports.values import inert
from tests.exports.conftest import LEAD, QUEUE, Desk

FORMULAS = (
    *("=1+1", "=HYPERLINK('http://evil','x')", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0"),
    *("\t=1", "\r=1", "\n=1", "＝1+1", "＋1+1", "=" + "A" * 50_000, "-", "+", "-a", "+66 (81) 234"),  # noqa: RUF001
)
NUMBERS = ("-5", "+5", "-5.25", "-1,5", "-1e10", "+66812345678", "+66 81 234 5678", "-0")
OTHERS = ("", "a", " =1", "a=1", "5-3", "'=1", "ๆ", "1" * 41)


def test_formulas_get_an_apostrophe_and_plain_numbers_do_not() -> None:
    assert [inert(text) for text in FORMULAS] == ["'" + text for text in FORMULAS]
    assert [inert(text) for text in (*NUMBERS, *OTHERS)] == [*NUMBERS, *OTHERS]
    assert inert("-" + "1" * 10_000_000).startswith("'-1")


@given(st.text())
def test_no_text_that_is_not_a_number_begins_as_a_formula_does(text: str) -> None:
    cell = inert(text)
    assert cell.removeprefix("'") == text.removeprefix("'")
    if cell[:1] in {"=", "@", "\t", "\r", "\n"}:
        pytest.fail(f"{cell!r} is a formula")
    if cell[:1] in {"+", "-"}:
        assert not set(cell[1:].lower()) - set("0123456789 .,e+-")


@pytest.fixture
async def data(desk: Desk) -> AsyncIterator[AsyncEngine]:
    engine = open_database(desk.settings)
    yield engine
    await engine.dispose()


async def form_with(engine: AsyncEngine, titles: list[str], answers: list[str], **form: Any) -> str:
    """A form with these fields and one submission that answers each with the text of the same place."""
    async with writing(engine) as connection:
        number = (
            await connection.execute(insert(forms).values(title="Form", **form).returning(forms.c.id))
        ).scalar_one()
        submission = (
            await connection.execute(insert(submissions).values(form_id=number).returning(submissions.c.id))
        ).scalar_one()
        for order, (title, answer) in enumerate(zip(titles, answers, strict=True)):
            field = (
                await connection.execute(
                    insert(fields).values(form_id=number, type="url", title=title, order=order).returning(fields.c.id)
                )
            ).scalar_one()
            await connection.execute(
                insert(submission_data).values(submission_id=submission, field_id=field, value_text=answer)
            )
    return str(number)


def form_export(form: str, word: str, **options: Any) -> ExportFormSubmissions:
    return ExportFormSubmissions(form_id=form, format=ExportFormat.Value(f"EXPORT_FORMAT_{word}"), options=options)


async def test_formulas_in_answers_and_titles_are_inert_in_csv_and_excel(desk: Desk, data: AsyncEngine) -> None:
    answers = [*FORMULAS, *NUMBERS]
    titles = [f"={number}" for number in range(len(answers))]
    form = await form_with(data, titles, answers)
    with Path((await desk.export(form_export(form, "CSV"))).metadata.file_path).open(newline="") as file:
        header, row = csv.reader(file)
    assert header[4:] == ["'" + title for title in titles]
    assert row[4:] == [*("'" + text for text in FORMULAS), *NUMBERS]
    book = load_workbook((await desk.export(form_export(form, "XLSX"))).metadata.file_path)
    cells = [cell for row in book["Submissions"].iter_rows() for cell in row]
    assert "f" not in {cell.data_type for cell in cells}
    assert not [cell.value for cell in cells if str(cell.value)[:1] in set("=@\t\r\n＝＋")]  # noqa: RUF001
    document = json.loads(Path((await desk.export(form_export(form, "JSON"))).metadata.file_path).read_text())
    assert [document["data"][0][title] for title in titles] == answers


async def test_odd_text_comes_back_as_it_was(desk: Desk, data: AsyncEngine) -> None:
    odd = [
        'say "hi"',
        "a,b",
        "a;b",
        "two\r\nlines",
        "ends in \\",
        "ไทย 😀 \u202e",
        "<b>&amp;</b>",
        "]]>",
        "  spaces  ",
        "null",
    ]
    form = await form_with(data, [f"t{n}" for n in range(len(odd))], odd)
    for options in ({}, {"delimiter": ";"}, {"quote": "'"}, {"delimiter": "\t", "quote_all": True}):
        made = (await desk.export(form_export(form, "CSV", csv=options))).metadata
        with Path(made.file_path).open(newline="", encoding="utf-8") as file:
            _, row = csv.reader(
                file, delimiter=options.get("delimiter", ","), quotechar=options.get("quote", '"'), strict=True
            )
        assert row[4:] == odd, options
    book = load_workbook((await desk.export(form_export(form, "XLSX"))).metadata.file_path)
    assert [cell.value for cell in book["Submissions"][2]][4:] == odd
    document = json.loads(Path((await desk.export(form_export(form, "JSON"))).metadata.file_path).read_text())
    assert list(document["data"][0].values())[4:] == odd


async def test_csv_is_as_rfc_4180_has_it_with_a_bom_on_request(desk: Desk, data: AsyncEngine) -> None:
    form = await form_with(data, ["a", "b"], ['x"y', "plain"])
    made = (await desk.export(form_export(form, "CSV", csv={"encoding": "utf8-bom"}))).metadata
    content = Path(made.file_path).read_bytes()
    assert content.startswith(b"\xef\xbb\xbfsubmission_id,submitted_at,submitted_by,status,a,b\r\n")
    assert content.endswith(b',submitted,"x""y",plain\r\n')
    bare = (await desk.export(form_export(form, "CSV", csv={"include_header": False, "quote_all": True}))).metadata
    assert Path(bare.file_path).read_bytes().endswith(b',"submitted","x""y","plain"\r\n')
    assert Path(bare.file_path).read_bytes().count(b"\r\n") == 1


async def test_what_excel_cannot_hold_is_replaced_or_shortened(desk: Desk, data: AsyncEngine) -> None:
    form = await form_with(data, ["control", "long", "gap"], ["a\x01\x08\x1b\uffffb", "x" * 10_000_000, "\x0b"])
    made = (await desk.export(form_export(form, "XLSX"))).metadata
    row = [cell.value for cell in load_workbook(made.file_path)["Submissions"][2]][4:]
    assert row == ["a\ufffd\ufffd\ufffd\ufffdb", "x" * 32_766 + "…", "\ufffd"]
    assert (made.truncated_cells, list(made.truncated_places)) == (1, ["Submissions!F2"])


async def test_truncated_cells_are_told_in_the_log_and_whole_ones_are_not(desk: Desk, data: AsyncEngine) -> None:
    form = await form_with(data, ["short", "long"], ["x" * 32_767, "y" * 32_768])
    record = await desk.end(await desk.enqueue(form_export(form, "XLSX")))
    told = await desk.inspection.logs(QUEUE, record.id)
    assert told is not None
    (line,) = told[0]
    assert line.message.startswith(
        "truncated to 32,767 characters, the most that Excel allows: 1 cell (Submissions!F2)"
    )
    for kind in ("CSV", "JSON"):
        assert (await desk.export(form_export(form, kind))).metadata.truncated_cells == 0


async def test_ten_megabytes_in_a_cell_come_whole_in_csv_and_json(desk: Desk, data: AsyncEngine) -> None:
    long = "x" * 10_000_000
    form = await form_with(data, ["long"], [long])
    csv.field_size_limit(20_000_000)
    with Path((await desk.export(form_export(form, "CSV"))).metadata.file_path).open(newline="") as file:
        assert list(csv.reader(file))[1][4] == long
    document = json.loads(Path((await desk.export(form_export(form, "JSON"))).metadata.file_path).read_text())
    assert document["data"][0]["long"] == long


async def test_titles_of_sub_forms_become_names_that_excel_takes(desk: Desk, data: AsyncEngine) -> None:
    form = await form_with(data, ["a"], ["b"])
    titles = ["A/B:C*D?[E]", "x" * 255, "x" * 254 + "y", "History", "submissions", "'quoted'", "", "\x01"]
    async with writing(data) as connection:
        await connection.execute(
            insert(sub_forms), [{"form_id": form, "title": title, "order": order} for order, title in enumerate(titles)]
        )
    names = load_workbook((await desk.export(form_export(form, "XLSX"))).metadata.file_path).sheetnames
    assert len({name.casefold() for name in names}) == len(titles) + 1
    assert all(0 < len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in names)
    assert "history" not in {name.casefold() for name in names}
    assert not [name for name in names if name.startswith("'") or name.endswith("'")]


async def test_answers_of_an_odd_kind_are_shown_as_they_are(desk: Desk, data: AsyncEngine) -> None:
    form = await form_with(
        data, ["n", "big", "json", "deep", "flag", "none"], ["twelve", "1" * 40, "{broken", "[" * 5000, "TRUE", "x"]
    )
    kinds = ["number", "number", "json", "json", "boolean", "string"]
    async with writing(data) as connection:
        numbers = (
            await connection.scalars(select(fields.c.id).where(fields.c.form_id == form).order_by(fields.c.order))
        ).all()
        for number, kind in zip(numbers, kinds, strict=True):
            await connection.execute(
                update(submission_data).where(submission_data.c.field_id == number).values(value_type=kind)
            )
        await connection.execute(
            update(submission_data).where(submission_data.c.field_id == numbers[-1]).values(value_text=None)
        )
    made = (await desk.export(form_export(form, "JSON"))).metadata
    record = json.loads(Path(made.file_path).read_text())["data"][0]
    assert list(record.values())[4:] == ["twelve", "1" * 40, "{broken", "[" * 5000, True, None]
    for word in ("CSV", "XLSX"):
        assert (await desk.export(form_export(form, word))).success


async def test_answers_that_cannot_be_decrypted_are_marked_and_counted(desk: Desk, data: AsyncEngine) -> None:
    async with writing(data) as connection:
        await connection.execute(
            update(submission_data).values(value_encrypted='{"iv":"00"}').where(submission_data.c.is_encrypted)
        )
    made = (await desk.export(form_export(LEAD, "JSON"))).metadata
    records = json.loads(Path(made.file_path).read_text())["data"]
    assert {record["Contact"] for record in records} == {"[unreadable]"}


async def test_a_workbook_goes_on_on_a_further_sheet_where_one_is_full(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("families.exports.excel_writer.MAX_ROWS", 1000)
    query = {"model": "Submission", "options": {"limit": 2400, "order": ["id"]}}
    made = (await desk.export(ExportExcel(query=query, fields=["id"]))).metadata
    book = load_workbook(made.file_path)
    assert book.sheetnames == ["Submission", "Submission (2)", "Submission (3)"]
    assert made.worksheet_count == 3
    rows = [[cell for (cell,) in sheet.iter_rows(values_only=True)] for sheet in book]
    assert [len(each) for each in rows] == [1000, 1000, 403]
    assert {each[0] for each in rows} == {"id"}
    ids: list[Any] = [cell for each in rows for cell in each[1:]]
    assert ids == sorted(ids)
    assert len(set(ids)) == 2400


async def test_files_of_every_format_are_whole_and_complete(desk: Desk, data: AsyncEngine) -> None:
    query = {"model": "SubmissionData", "options": {"where": {"value_type": "number"}}}
    workbook = (await desk.export(ExportExcel(query=query))).metadata
    with zipfile.ZipFile(workbook.file_path) as archive:
        assert archive.testzip() is None
    lines = (await desk.export(ExportJson(query=query, options={"lines": True}))).metadata
    records = [json.loads(line) for line in Path(lines.file_path).read_text().splitlines()]
    assert (lines.file_name[-6:], lines.content_type) == (".jsonl", "application/x-ndjson")
    rows = (await desk.export(ExportCsv(query=query))).metadata
    async with reading(data) as connection:
        stored = {
            str(n)
            for n in await connection.scalars(
                select(submission_data.c.id).where(submission_data.c.value_type == "number")
            )
        }
    assert {record["id"] for record in records} == stored
    assert workbook.record_count == lines.record_count == rows.record_count == len(stored)


@pytest.mark.parametrize("indent", [0, 1, 2, 8])
async def test_json_has_the_indent_that_was_asked_for(desk: Desk, indent: int) -> None:
    query = {"model": "Form", "options": {"include": [{"model": "Field"}], "order": ["id"]}}
    made = (await desk.export(ExportJson(query=query, options={"indent": indent}))).metadata
    text = Path(made.file_path).read_text()
    document = json.loads(text)
    assert [len(record["Field"]) for record in document["data"]] == [9, 12, 11, 6, 6, 17, 1]
    document["metadata"]["exportedAt"] = ""
    expected = json.dumps(
        document, indent=indent or None, ensure_ascii=False, separators=None if indent else (",", ":")
    )
    shown = text.replace(json.loads(text)["metadata"]["exportedAt"], "")
    assert shown.strip() == expected
