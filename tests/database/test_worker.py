"""What a worker says of the database when it starts, and that it works without one."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

import families.database.resources
from base.resources import open_resources
from base.settings import Settings
from families.database.connection import reading, writing
from families.database.errors import DatabaseSetupError
from tests.conftest import free_port

assert families.database.resources  # importing it is what declares the provider


async def said_at_start(settings: Settings) -> list[dict[str, Any]]:
    with capture_logs() as lines:
        async with open_resources(settings, None, [AsyncEngine]):
            # It is said beside the work: a database that does not answer holds up nothing.
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
            return [dict(line) for line in lines]


async def test_nothing_is_said_of_a_database_that_has_all(database: Settings) -> None:
    assert await said_at_start(database) == []


async def test_what_the_database_lacks_is_said(engine: AsyncEngine, database: Settings) -> None:
    async with writing(engine) as connection:
        await connection.execute(text("DROP TABLE sessions"))
    (line,) = await said_at_start(database)
    assert (line["event"], line["log_level"]) == ("database_incomplete", "warning")
    assert line["missing"] == ["the table sessions"]


async def test_a_database_that_is_down_keeps_no_worker_from_starting(settings: Settings) -> None:
    address = SecretStr(f"postgresql://user:hush@127.0.0.1:{free_port()}/data")
    (line,) = await said_at_start(settings.model_copy(update={"database_url": address}))
    assert line["event"] == "database_unavailable"
    assert "cannot be reached" in line["reason"]
    assert "hush" not in str(line)


async def test_without_a_database_each_use_says_what_to_set(settings: Settings) -> None:
    assert await said_at_start(settings) == []
    async with open_resources(settings, None, [AsyncEngine]) as resources:
        with pytest.raises(DatabaseSetupError, match="set DATABASE_URL"):
            async with reading(resources[AsyncEngine]):
                pass
