"""The export family: custom queries as CSV, JSON and Excel, and the submissions of a form."""

import time
from typing import Annotated

from qcollector.jobs.v1.export_pb2 import (
    ExportCsv,
    ExportCsvResult,
    ExportExcel,
    ExportExcelResult,
    ExportFormSubmissions,
    ExportFormSubmissionsResult,
    ExportJson,
    ExportJsonResult,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from taskiq import TaskiqDepends

from families.database.resources import database
from families.exports.form_export import FormExports
from families.exports.notices import tell
from families.exports.query_export import QueryExports
from workers.broker import Enqueue, enqueue
from workers.context import JobContext
from workers.handlers import handles

Database = Annotated[AsyncEngine, TaskiqDepends(database)]
Mail = Annotated[Enqueue, TaskiqDepends(enqueue)]


@handles(ExportCsv)
async def csv(payload: ExportCsv, job: JobContext, data: Database, mail: Mail) -> ExportCsvResult:
    began = time.monotonic()
    made = await QueryExports(data, job.settings).csv(payload, job)
    if payload.HasField("notify"):
        await tell(job, payload.notify, payload.query.model, made, data, mail)
    return ExportCsvResult(success=True, metadata=made, processing_time_ms=(time.monotonic() - began) * 1000)


@handles(ExportJson)
async def json(payload: ExportJson, job: JobContext, data: Database, mail: Mail) -> ExportJsonResult:
    began = time.monotonic()
    made = await QueryExports(data, job.settings).json(payload, job)
    if payload.HasField("notify"):
        await tell(job, payload.notify, payload.query.model, made, data, mail)
    return ExportJsonResult(success=True, metadata=made, processing_time_ms=(time.monotonic() - began) * 1000)


@handles(ExportExcel)
async def excel(payload: ExportExcel, job: JobContext, data: Database, mail: Mail) -> ExportExcelResult:
    began = time.monotonic()
    made = await QueryExports(data, job.settings).excel(payload, job)
    if payload.HasField("notify"):
        what = payload.query.model or ", ".join(sheet.name for sheet in payload.worksheets)
        await tell(job, payload.notify, what, made, data, mail)
    return ExportExcelResult(success=True, metadata=made, processing_time_ms=(time.monotonic() - began) * 1000)


@handles(ExportFormSubmissions)
async def form_submissions(
    payload: ExportFormSubmissions, job: JobContext, data: Database, mail: Mail
) -> ExportFormSubmissionsResult:
    began = time.monotonic()
    result = await FormExports(data, job.settings).export(payload, job)
    if payload.options.HasField("notify"):
        await tell(job, payload.options.notify, result.form_title, result.metadata, data, mail)
    result.processing_time_ms = (time.monotonic() - began) * 1000
    return result
