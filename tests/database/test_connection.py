"""What goes wrong with the database is said in plain words and without a secret; other errors are left alone."""

import socket
import time

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from families.database import connection as database_connection
from families.database.connection import open_database, pool_state, reading, writing
from families.database.errors import (
    DatabaseError,
    DatabaseSetupError,
    DatabaseUnavailableError,
    StatementTimeoutError,
)
from families.database.tables import forms, submissions
from tests.conftest import free_port
from tests.postgres import database_address

PASSWORD = "very-secret-word"
NOW = text("SELECT 1")


async def refusal(settings: Settings, address: str | None, kind: type[DatabaseError] = DatabaseUnavailableError) -> str:
    """What a transaction on that address says."""
    engine = open_database(settings.model_copy(update={"database_url": address and SecretStr(address)}))
    try:
        with pytest.raises(kind) as refused:
            async with reading(engine):
                pass
        return str(refused.value)
    finally:
        await engine.dispose()


async def test_without_an_address_the_remedy_is_said(settings: Settings) -> None:
    assert "set DATABASE_URL" in await refusal(settings, None, DatabaseSetupError)


async def test_a_server_that_is_down_is_said_to_be(settings: Settings) -> None:
    said = await refusal(settings, f"postgresql://user:{PASSWORD}@127.0.0.1:{free_port()}/data")
    assert "cannot be reached" in said
    assert PASSWORD not in said


async def test_a_wrong_password_and_a_wrong_database_are_told_apart(database: Settings) -> None:
    address = database_address(database)
    before, _, after = address.partition("@")
    wrong = f"{before.rpartition(':')[0]}:{PASSWORD}@{after}"
    said = await refusal(database, wrong)
    assert "does not take the login" in said
    assert PASSWORD not in said
    assert "no database of the name" in await refusal(database, f"{address}_x")


async def test_an_address_that_makes_no_sense_is_said_to_look_wrong(settings: Settings) -> None:
    assert "should look like" in await refusal(settings, "postgresql://host:port/data")
    assert "should look like" in await refusal(settings, "postgresql://host/data?sslmode=often")


async def test_a_server_that_does_not_answer_is_given_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_connection, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "did not answer" in await refusal(settings, f"postgresql://user@127.0.0.1:{port}/data")


async def test_a_process_never_holds_more_connections_than_it_may(
    database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_connection, "POOL_SECONDS", 0.2)
    engine = open_database(database.model_copy(update={"database_pool_size": 2}))
    try:
        async with reading(engine), reading(engine):
            with pytest.raises(DatabaseUnavailableError, match="in use"):
                async with reading(engine):
                    pass
        async with reading(engine) as connection:
            assert await connection.scalar(NOW) == 1
    finally:
        await engine.dispose()


async def test_a_statement_that_takes_too_long_is_ended(engine: AsyncEngine) -> None:
    began = time.monotonic()
    with pytest.raises(StatementTimeoutError):
        async with reading(engine, statement_seconds=0.2) as connection:
            await connection.execute(text("SELECT pg_sleep(20)"))
    assert time.monotonic() - began < 5
    async with reading(engine) as connection:
        assert await connection.scalar(text("SHOW statement_timeout")) == "5min"


async def test_a_reader_cannot_write(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        async with reading(engine) as connection:
            await connection.execute(insert(forms).values(title="x"))


async def test_a_connection_that_has_read_can_write_after_that(engine: AsyncEngine) -> None:
    async with reading(engine):
        pass
    async with writing(engine) as connection:
        await connection.execute(insert(forms).values(title="x"))
    async with reading(engine) as connection:
        assert await connection.scalar(select(forms.c.title)) == "x"


async def test_a_reader_sees_the_rows_of_its_beginning(engine: AsyncEngine) -> None:
    async with reading(engine) as connection:
        assert (await connection.execute(select(forms))).all() == []
        async with writing(engine) as other:
            await other.execute(insert(forms).values(title="new"))
        assert (await connection.execute(select(forms))).all() == []


async def test_what_a_writer_did_is_undone_when_it_raises(engine: AsyncEngine) -> None:
    with pytest.raises(LookupError):
        async with writing(engine) as connection:
            await connection.execute(insert(forms).values(title="x"))
            raise LookupError
    async with reading(engine) as connection:
        assert (await connection.execute(select(forms))).all() == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), TimeoutError(), ValueError("mine")])
async def test_an_error_of_the_work_itself_is_left_as_it_is(engine: AsyncEngine, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        async with reading(engine):
            raise error
    assert raised.value is error


async def test_a_connection_that_is_cut_is_an_outage_and_the_next_one_works(engine: AsyncEngine) -> None:
    kill = text("SELECT pg_terminate_backend(:pid)")
    with pytest.raises(DatabaseUnavailableError):
        async with reading(engine) as connection:
            pid = await connection.scalar(text("SELECT pg_backend_pid()"))
            async with writing(engine) as other:
                await other.execute(kill, {"pid": pid})
            await connection.execute(NOW)
    async with reading(engine) as connection:
        assert await connection.scalar(NOW) == 1


async def test_idle_connections_that_are_cut_are_replaced_unnoticed(engine: AsyncEngine, database: Settings) -> None:
    async with reading(engine) as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    other = open_database(database)
    async with writing(other) as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    await other.dispose()
    async with reading(engine) as connection:
        assert await connection.scalar(text("SELECT pg_backend_pid()")) != pid


async def test_a_column_that_is_missing_is_named(engine: AsyncEngine) -> None:
    async with writing(engine) as connection:
        await connection.execute(text("ALTER TABLE submissions DROP COLUMN status"))
    with pytest.raises(DatabaseSetupError, match=r"lacks a column .*status.*migrations"):
        async with reading(engine) as connection:
            await connection.execute(select(submissions.c.status))


async def test_a_word_that_a_later_release_has_added_is_read(engine: AsyncEngine) -> None:
    async with writing(engine) as connection:
        await connection.execute(text("ALTER TYPE enum_submissions_status ADD VALUE 'escalated'"))
    async with writing(engine) as connection:
        form = await connection.scalar(insert(forms).values(title="x").returning(forms.c.id))
        await connection.execute(insert(submissions).values(form_id=form, status="escalated"))
    query = select(submissions.c.status).where(submissions.c.status == "escalated")
    async with reading(engine) as connection:
        assert await connection.scalar(query) == "escalated"


async def test_words_may_be_plain_text_in_somebody_elses_database(engine: AsyncEngine) -> None:
    async with writing(engine) as connection:
        await connection.execute(
            text("ALTER TABLE submissions ALTER COLUMN status DROP DEFAULT, ALTER COLUMN status TYPE varchar(20)")
        )
    async with writing(engine) as connection:
        form = await connection.scalar(insert(forms).values(title="x").returning(forms.c.id))
        await connection.execute(insert(submissions).values(form_id=form, status="draft"))
    query = select(submissions.c.status).where(submissions.c.status.in_(["draft", "approved"]))
    async with reading(engine) as connection:
        assert await connection.scalar(query) == "draft"


async def test_a_connection_that_was_given_up_is_not_told_as_idle(database: Settings) -> None:
    engine = open_database(database)
    try:
        async with reading(engine):
            assert (pool_state(engine).busy, pool_state(engine).idle) == (1, 0)
        assert (pool_state(engine).busy, pool_state(engine).idle) == (0, 1)
        async with engine.connect() as connection:
            await connection.invalidate()
        assert (pool_state(engine).busy, pool_state(engine).idle) == (0, 0)
        async with reading(engine):
            pass
        assert (pool_state(engine).busy, pool_state(engine).idle) == (0, 1)
    finally:
        await engine.dispose()
