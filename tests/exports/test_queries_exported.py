"""Custom queries come out as the files that they ask for: read back, they hold what the database holds."""

import csv
import hashlib
import json
from pathlib import Path

from openpyxl import load_workbook
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportExcel, ExportJson

from tests.exports.conftest import LEAD, SATISFACTION, Desk


async def test_the_documented_query_comes_out_as_csv(desk: Desk) -> None:
    query = {
        "model": "Submission",
        "options": {"where": {"form_id": SATISFACTION}, "include": [{"model": "SubmissionData"}]},
    }
    made = (
        await desk.export(
            ExportCsv(query=query, fields=["id", "created_at", "status"], output_path="exports/deep/export.csv")
        )
    ).metadata
    content = Path(made.file_path).read_bytes()
    rows = list(csv.reader(content.decode().splitlines()))
    assert Path(made.file_path) == desk.folder / "deep" / "export.csv"
    assert rows[0] == ["id", "created_at", "status"] == list(made.fields)
    assert len(rows) - 1 == made.record_count == 2400
    assert (made.format, made.file_name, made.file_size) == ("CSV", "export.csv", len(content))
    assert made.sha256 == hashlib.sha256(content).hexdigest()
    assert {row[2] for row in rows[1:]} == {"draft", "submitted", "approved", "rejected", "archived"}
    assert made.expire_time.seconds - made.generate_time.seconds == 7 * 86400


async def test_json_has_included_rows_as_lists_and_single_ones_as_objects(desk: Desk) -> None:
    query = {
        "model": "Submission",
        "options": {
            "where": {"form_id": LEAD, "parent_id": None},
            "include": [{"model": "SubmissionData"}, {"model": "User"}],
            "order": [["submitted_at", "DESC"]],
            "limit": 40,
        },
    }
    made = (await desk.export(ExportJson(query=query))).metadata
    document = json.loads(Path(made.file_path).read_text())
    assert document["metadata"]["recordCount"] == len(document["data"]) == made.record_count == 40
    first = document["data"][0]
    assert len(first["SubmissionData"]) >= 4
    assert any(answer["value_text"] and "@" in answer["value_text"] for answer in first["SubmissionData"])
    assert "value_encrypted" not in first["SubmissionData"][0]
    assert "password_hash" not in first["User"]
    times = [record["submitted_at"] for record in document["data"]]
    assert times == sorted(times, reverse=True)


async def test_a_workbook_has_a_sheet_for_each_query(desk: Desk) -> None:
    sheets = [
        {"name": "Forms", "query": {"model": "Form"}, "fields": ["title", "version", "is_active", "createdAt"]},
        {"name": "People", "query": {"model": "User", "options": {"limit": 5}}},
    ]
    made = (await desk.export(ExportExcel(worksheets=sheets))).metadata
    book = load_workbook(made.file_path)
    assert book.sheetnames == ["Forms", "People"]
    assert made.worksheet_count == 2
    assert [cell.value for cell in book["Forms"][1]] == ["title", "version", "is_active", "createdAt"]
    assert book["Forms"].freeze_panes == "A2"
    assert book["Forms"]["A1"].font.bold
    kinds = [type(cell.value).__name__ for cell in book["Forms"][2]]
    assert kinds == ["str", "int", "bool", "datetime"]
    assert book["People"].max_row == 6
