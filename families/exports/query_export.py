"""Exports of custom queries, in each format."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from google.protobuf.json_format import MessageToDict
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportExcel, ExportJson, ExportMetadata, ExportQuery
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from base.settings import Settings
from families.database.connection import reading
from families.database.encryption import AnswerCipher
from families.database.queries import Query, QueryError, compile_query
from families.database.settings import DatabaseSettings
from families.exports.csv_writer import CsvWriter
from families.exports.excel_writer import ExcelWriter
from families.exports.json_writer import JsonWriter
from families.exports.making import CSV, EXCEL, JSON, JSON_LINES, Making, making, off_loop
from families.exports.query_rows import Rows, Shape, count_rows, work_through_rows
from workers.context import JobContext
from workers.outcomes import FailForGood

VERSION = "1.0"
"""Of the JSON document."""


class _Part(Protocol):
    """What of a payload is one query."""

    @property
    def query(self) -> ExportQuery: ...

    @property
    def fields(self) -> Sequence[str]: ...


class QueryExports:
    """Exports rows of a database."""

    def __init__(self, database: AsyncEngine, settings: Settings) -> None:
        self._database = database
        self._zone = settings.schedule_timezone
        self._key = DatabaseSettings.of(settings).encryption_key

    async def csv(self, payload: ExportCsv, job: JobContext) -> ExportMetadata:
        query = self._compile(payload)
        shape = Shape(query, AnswerCipher(self._key))
        async with making(job, CSV, path=payload.output_path, stem=_stem(payload.query)) as made:
            writer = CsvWriter(made.draft, shape.header, payload.options)
            await off_loop(writer.begin)
            async with reading(self._database) as connection:
                rows = await _flat(made, connection, query, shape, writer.write)
            return await made.publish(rows, shape.header)

    async def json(self, payload: ExportJson, job: JobContext) -> ExportMetadata:
        query = self._compile(payload)
        shape = Shape(query, AnswerCipher(self._key))
        kind = JSON_LINES if payload.options.lines else JSON
        async with making(job, kind, path=payload.output_path, stem=_stem(payload.query)) as made:
            writer = JsonWriter(made.draft, payload.options)
            async with reading(self._database) as connection:
                total = await count_rows(connection, query)
                await off_loop(writer.begin, document_metadata(total))
                write = _records(query, shape, writer)

                async def work(rows: Rows) -> None:
                    await off_loop(write, rows)
                    await made.progress(shape.seen, total)

                await work_through_rows(connection, query, work)
            await off_loop(writer.end)
            return await made.publish(shape.seen, shape.header)

    async def excel(self, payload: ExportExcel, job: JobContext) -> ExportMetadata:
        parts: list[tuple[str, _Part]] = [(part.name, part) for part in payload.worksheets]
        parts = parts or [(payload.query.model, payload)]
        queries = [(name, self._compile(part, name)) for name, part in parts]
        stem = _stem(payload.query) if not payload.worksheets else "workbook"
        async with making(job, EXCEL, path=payload.output_path, stem=stem) as made:
            writer = ExcelWriter(made.draft)
            records = 0
            async with reading(self._database) as connection:
                for name, query in queries:
                    shape = Shape(query, AnswerCipher(self._key))
                    write = partial(writer.write, writer.add_sheet(name, shape.header))
                    records += await _flat(made, connection, query, shape, write)
            await off_loop(writer.end)
            columns = [column.name for _, query in queries for column in query.columns]
            return await made.publish(records, list(dict.fromkeys(columns)), workbook=writer)

    def _compile(self, part: _Part, name: str = "") -> Query:
        try:
            return compile_query(MessageToDict(part.query), part.fields, self._zone)
        except QueryError as error:
            raise FailForGood(f"{name}: {error}" if name else str(error)) from error


def document_metadata(records: int) -> dict[str, Any]:
    return {"exportedAt": datetime.now(UTC), "recordCount": records, "format": "JSON", "version": VERSION}


async def _flat(
    made: Making, connection: AsyncConnection, query: Query, shape: Shape, write: Callable[[Rows], None]
) -> int:
    """Writes a row for each row; answers how many."""
    total = await count_rows(connection, query)
    written = 0

    def write_chunk(rows: Rows) -> None:
        write(shape.flat(rows))

    async def work(rows: Rows) -> None:
        nonlocal written
        await off_loop(write_chunk, rows)
        written += len(rows)
        await made.progress(shape.seen, total)

    await work_through_rows(connection, query, work)
    return written


def _records(query: Query, shape: Shape, writer: JsonWriter) -> Callable[[Rows], None]:
    """What writes an object for each row of the model."""

    def write(rows: Rows) -> None:
        writer.write(shape.records(rows))

    def write_families(rows: Rows) -> None:
        for record, members in shape.families(rows):
            if record is not None:
                writer.open(record, query.many)
            writer.add(members)

    return write_families if query.many else write


def _stem(query: ExportQuery) -> str:
    return f"data/{query.model.lower()}"
