"""What is in the embedded database: Q-Collector's tables, and sample data on the first start.

Nothing here is ever run against a database that somebody else has set up.
"""

import asyncio
from pathlib import Path
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url

from base.settings import Settings, load
from families.database.connection import open_database, writing
from families.database.sample_data.load import load_sample_data
from families.database.settings import DatabaseSettings

MIGRATIONS: Final = Path(__file__).with_name("migrations")
LONGEST: Final = 600.0
"""Seconds that one statement of a migration, or of loading, may take."""


async def prepare(settings: Settings) -> None:
    """Makes the database at DATABASE_URL where it is missing; then its tables and its data, all or nothing."""
    await _create(settings)
    engine = open_database(settings)
    try:
        async with writing(engine, statement_seconds=LONGEST) as connection:
            await connection.run_sync(_migrate)
            if DatabaseSettings.of(settings).sample_data:
                await load_sample_data(connection, settings)
    finally:
        await engine.dispose()


async def _create(settings: Settings) -> None:
    """Makes the database, without any table, unless it is there."""
    address = DatabaseSettings.of(settings).database_url
    assert address is not None
    url = make_url(address.get_secret_value())
    server = url.set(database="postgres").render_as_string(hide_password=False)
    connection = await asyncpg.connect(server, timeout=10)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", url.database):
            await connection.execute(f'CREATE DATABASE "{url.database}"')
    finally:
        await connection.close()


def _migrate(connection: Connection) -> None:
    """Runs the migrations that the database has not had yet."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


if __name__ == "__main__":
    asyncio.run(prepare(load()))
