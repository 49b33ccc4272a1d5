"""The application's database, one engine for each worker process."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from base.resources import provides
from base.settings import Settings
from families.database.connection import open_database
from families.database.needs import tell_missing


@provides(AsyncEngine)
async def database(settings: Settings, store: Any) -> AsyncIterator[AsyncEngine]:  # noqa: ARG001  (a resource's signature)
    """Says at start what the database lacks. Without DATABASE_URL each use of it is an error that says so."""
    engine = open_database(settings)
    await tell_missing(engine, settings)
    yield engine
    await engine.dispose()
