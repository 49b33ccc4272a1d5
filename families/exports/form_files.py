"""Files of a form's submissions, one class for each format. All their calls block."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from families.database.date_ranges import DateRange
from families.exports.answers import answer_cell, answer_json, typed_cell
from families.exports.csv_writer import CsvWriter
from families.exports.excel_writer import ExcelWriter
from families.exports.form_layout import BASE_COLUMNS, FormField, FormLayout
from families.exports.json_writer import JsonWriter
from families.exports.submissions import Answers, Submission


class SubmissionsFile(Protocol):
    """A file of submissions."""

    @property
    def workbook(self) -> ExcelWriter | None:
        """What wrote it, if it is an Excel workbook."""

    def begin(self) -> None: ...

    def write(self, submissions: Sequence[Submission]) -> None: ...

    def end(self) -> None: ...


def columns_of(layout: FormLayout) -> Sequence[str]:
    """The columns of CSV and JSON: those of sub-forms come last."""
    return [*BASE_COLUMNS, *(field.name for field in layout.fields), *(each.name for each in layout.sub_forms)]


class CsvSubmissions:
    """A row for each submission; rows of a sub-form are JSON in one cell."""

    workbook = None

    def __init__(self, writer: CsvWriter, layout: FormLayout, within: DateRange) -> None:
        self._writer = writer
        self._layout = layout
        self._zone = within.zone
        self.begin = writer.begin

    def write(self, submissions: Sequence[Submission]) -> None:
        self._writer.write([self._row(each) for each in submissions])

    def _row(self, submission: Submission) -> Sequence[Any]:
        number, moment, *others = submission.base
        answers = submission.answers
        return [
            str(number),
            moment.astimezone(self._zone),
            *others,
            *(answer_cell(answers.get(field.id)) for field in self._layout.fields),
            *(_json_rows(submission.rows.get(each.id, ()), each.fields) or None for each in self._layout.sub_forms),
        ]

    def end(self) -> None:
        """CSV has no end."""


class JsonSubmissions:
    """An object for each submission; rows of a sub-form are a list in it."""

    workbook = None

    def __init__(self, writer: JsonWriter, layout: FormLayout, within: DateRange, metadata: Mapping[str, Any]) -> None:
        self._writer = writer
        self._layout = layout
        self._zone = within.zone
        self._metadata = metadata
        self.end = writer.end

    def begin(self) -> None:
        self._writer.begin(self._metadata)

    def write(self, submissions: Sequence[Submission]) -> None:
        self._writer.write([self._object(each) for each in submissions])

    def _object(self, submission: Submission) -> Mapping[str, Any]:
        base = dict(zip(BASE_COLUMNS, submission.base, strict=True))
        base["submitted_at"] = base["submitted_at"].astimezone(self._zone)
        answers = {field.name: answer_json(submission.answers.get(field.id)) for field in self._layout.fields}
        rows = {each.name: _json_rows(submission.rows.get(each.id, ()), each.fields) for each in self._layout.sub_forms}
        return {**base, **answers, **rows}


class ExcelSubmissions:
    """A worksheet of submissions, and one for each sub-form, whose rows name their submission."""

    def __init__(self, writer: ExcelWriter, layout: FormLayout) -> None:
        self.workbook = self._writer = writer
        self._layout = layout

    def begin(self) -> None:
        add = self._writer.add_sheet
        self._main = add("Submissions", [*BASE_COLUMNS, *(field.name for field in self._layout.fields)])
        self._below = [
            (add(each.name, [BASE_COLUMNS[0], *(field.name for field in each.fields)]), each)
            for each in self._layout.sub_forms
        ]

    def write(self, submissions: Sequence[Submission]) -> None:
        rows = [[*each.base, *_typed(each.answers, self._layout.fields)] for each in submissions]
        self._writer.write(self._main, rows)
        for sheet, sub_form in self._below:
            below = [
                [each.base[0], *_typed(answers, sub_form.fields)]
                for each in submissions
                for answers in each.rows.get(sub_form.id, ())
            ]
            self._writer.write(sheet, below)

    def end(self) -> None:
        self._writer.end()


def _json_rows(rows: Sequence[Answers], fields: Sequence[FormField]) -> Sequence[Mapping[str, Any]]:
    return [{field.name: answer_json(row.get(field.id)) for field in fields} for row in rows]


def _typed(answers: Answers, fields: Sequence[FormField]) -> Sequence[Any]:
    return [typed_cell(field.type, answers.get(field.id)) for field in fields]
