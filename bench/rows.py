"""Rows to export: a table of the application's, in an embedded PostgreSQL."""

import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from base.settings import load
from families.database.embedded import Postgres
from families.database.prepare import prepare
from stack.folder import DataFolder
from stack.part import spawn, until_ready

TABLE: Final = "files"
MODEL: Final = "File"
COLUMNS: Final = (
    *("id", "field_id", "filename", "original_name", "mime_type", "size", "minio_path", "checksum"),
    *("uploaded_by", "uploaded_at", "createdAt", "updatedAt"),
)
TIMES: Final = ("uploaded_at", "createdAt", "updatedAt")

_FILL: Final = """
    INSERT INTO files
        (id, field_id, filename, original_name, mime_type, size, minio_path, checksum, uploaded_by, uploaded_at)
    SELECT gen_random_uuid(), $3, n || '-' || md5(n::text) || '.pdf', 'Rechnung, "Grüße" Nr. ' || n || '.pdf',
           'application/pdf', n * 137 % 5000000, 'forms/2026/' || n % 365 || '/' || md5(n::text) || '.pdf',
           CASE WHEN n % 3 > 0 THEN repeat(md5(n::text), 2) END, $4, timestamptz '2025-01-01' + n * interval '97 seconds'
    FROM generate_series($1::int, $2::int) AS n
"""


@contextlib.asynccontextmanager
async def database(folder: Path, rows: int) -> AsyncIterator[str]:
    """The address of a server whose table has so many rows."""
    folder.mkdir(mode=0o711, parents=True)
    home = DataFolder(folder / "server")
    with home.held(say=lambda _: None):
        part = Postgres(home, folder / "postgres.log")
        command = await part.prepare()
        process = await spawn(command)
        try:
            await until_ready(part, process, command.output)
            address = part.environment["DATABASE_URL"]
            await prepare(load(database_url=address, sample_data=False, data_dir=folder))
            await _fill(address, rows)
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()


async def _fill(address: str, rows: int) -> None:
    connection = await asyncpg.connect(address)
    try:
        user = await connection.fetchval(
            "INSERT INTO users (username, email, password_hash) VALUES ('bench', 'bench@example.com', '!') RETURNING id"
        )
        form = await connection.fetchval("INSERT INTO forms (title) VALUES ('Rows') RETURNING id")
        field = await connection.fetchval(
            "INSERT INTO fields (form_id, type, title) VALUES ($1, 'file_upload', 'File') RETURNING id", form
        )
        await _insert(connection, 1, rows, field, user)
    finally:
        await connection.close()


async def grow(address: str, rows: int) -> None:
    """Adds rows like those that are there, until there are so many."""
    connection = await asyncpg.connect(address)
    try:
        count, field, user = await connection.fetchrow(
            "SELECT count(*), min(field_id::text)::uuid, min(uploaded_by::text)::uuid FROM files"
        )
        await _insert(connection, count + 1, rows, field, user)
    finally:
        await connection.close()


async def _insert(connection: asyncpg.Connection, first: int, last: int, field: UUID, user: UUID) -> None:
    await connection.execute(_FILL, first, last, field, user, timeout=120)
    await connection.execute("ANALYZE files")
