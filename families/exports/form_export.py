"""Exports of a form's submissions, in each format."""

from typing import Final

from qcollector.jobs.v1.export_pb2 import (
    DateRange,
    ExportFormat,
    ExportFormSubmissions,
    ExportFormSubmissionsResult,
    ExportJsonOptions,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from families.database.access import VisibleForm, visible_form
from families.database.connection import reading
from families.database.date_ranges import DateRange as Within
from families.database.date_ranges import DateRangeError, date_range
from families.database.encryption import AnswerCipher
from families.database.errors import FormUnknownError
from families.database.settings import DatabaseSettings
from families.exports.csv_writer import CsvWriter
from families.exports.excel_writer import ExcelWriter
from families.exports.form_files import CsvSubmissions, ExcelSubmissions, JsonSubmissions, SubmissionsFile, columns_of
from families.exports.form_layout import FormLayout, form_layout
from families.exports.json_writer import JsonWriter
from families.exports.making import CSV, EXCEL, JSON, Making, making, off_loop
from families.exports.query_export import document_metadata
from families.exports.submissions import Chunk, FormSubmissions, Reader
from workers.context import JobContext
from workers.outcomes import FailForGood

FORMATS: Final = {
    ExportFormat.EXPORT_FORMAT_CSV: CSV,
    ExportFormat.EXPORT_FORMAT_JSON: JSON,
    ExportFormat.EXPORT_FORMAT_XLSX: EXCEL,
}


class FormExports:
    """Exports submissions of forms of a database."""

    def __init__(self, database: AsyncEngine, settings: Settings) -> None:
        self._database = database
        self._zone = settings.schedule_timezone
        self._key = DatabaseSettings.of(settings).encryption_key

    async def export(self, payload: ExportFormSubmissions, job: JobContext) -> ExportFormSubmissionsResult:
        """Everything of the result but the time that it took."""
        within = self._within(payload.date_range)
        async with reading(self._database) as connection:
            try:
                form = await visible_form(connection, payload.form_id, job.caller)
            except FormUnknownError as error:
                raise FailForGood(f"formId: {error}") from error
            layout = await form_layout(connection, form.id)
            rows = FormSubmissions(connection, form.id, layout, within, payload.options.statuses)
            stem = f"submissions/form_{form.id}_submissions"
            async with making(job, FORMATS[payload.format], stem=stem) as made:
                cipher = AnswerCipher(self._key)
                total = await rows.count()
                file = _file(made, payload, form, layout, within, total)
                await off_loop(file.begin)
                reader = Reader(layout, cipher)
                done = 0

                async def work(chunk: Chunk) -> None:
                    nonlocal done
                    await off_loop(lambda: file.write(reader.read(chunk)))
                    done += len(chunk.submissions)
                    await made.progress(done, total)

                await rows.work_through(work)
                await off_loop(file.end)
                if cipher.unreadable:
                    await job.say(f"{cipher.unreadable} answers could not be decrypted with ENCRYPTION_KEY")
                metadata = await made.publish(done, columns_of(layout), workbook=file.workbook)
        return ExportFormSubmissionsResult(
            success=True,
            metadata=metadata,
            form_id=str(form.id),
            form_title=form.title,
            form_version=form.version,
            date_range=payload.date_range if payload.HasField("date_range") else None,
        )

    def _within(self, asked: DateRange) -> Within:
        try:
            return date_range(asked.start, asked.end, asked.timezone, self._zone)
        except DateRangeError as error:
            raise FailForGood(f"dateRange.{error}") from error


def _file(
    made: Making, payload: ExportFormSubmissions, form: VisibleForm, layout: FormLayout, within: Within, total: int
) -> SubmissionsFile:
    if made.kind is CSV:
        return CsvSubmissions(CsvWriter(made.draft, columns_of(layout), payload.options.csv), layout, within)
    if made.kind is EXCEL:
        return ExcelSubmissions(ExcelWriter(made.draft, within.zone), layout)
    metadata = {
        **document_metadata(total),
        "formId": str(form.id),
        "formTitle": form.title,
        "formVersion": form.version,
        "dateRange": {
            "start": payload.date_range.start or None,
            "end": payload.date_range.end or None,
            "timezone": within.zone.key,
        },
    }
    return JsonSubmissions(JsonWriter(made.draft, ExportJsonOptions()), layout, within, metadata)
