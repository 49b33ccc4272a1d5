"""What health tells of the database, each with a remedy."""

from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from structlog.testing import capture_logs

from base.settings import Settings
from families.database import health
from families.database.connection import open_database, writing
from tests.conftest import eventually
from tests.service.conftest import serving
from tests.service.test_health import check


async def test_a_database_that_lacks_tables_is_told_by_the_tables(
    database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECKS", [replace(check, remembered_seconds=-1) for check in health.CHECKS])
    async with serving(database, enable_email_service=False) as service:
        assert await check(service, "database") == ("healthy", "")
        engine = open_database(database)
        async with writing(engine) as connection:
            await connection.execute(text("DROP TABLE submissions CASCADE"))
        await engine.dispose()
        status, reason = await check(service, "database")
        assert (status, "lacks the table submissions" in reason) == ("degraded", True)
        assert "migrations" in reason


async def test_what_the_database_lacks_is_said_at_start(database: Settings) -> None:
    engine = open_database(database)
    async with writing(engine) as connection:
        await connection.execute(text("DROP TABLE sessions"))
    await engine.dispose()
    with capture_logs() as lines:
        async with serving(database, enable_email_service=False):
            (line,) = await eventually(lambda: [line for line in lines if line["event"] == "database_incomplete"])
    assert line["missing"] == ["the table sessions"]
    assert "migrations" in line["reason"]


async def test_a_database_that_is_away_degrades_and_does_not_hold_up_the_rest(settings: Settings) -> None:
    address = SecretStr("postgresql://user:hush@127.0.0.1:1/none")
    async with serving(settings, enable_email_service=False, database_url=address) as service:
        status, reason = await check(service, "database")
        assert (status, "hush" in reason) == ("degraded", False)
        assert reason
