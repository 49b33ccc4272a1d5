"""The application's database, one engine for each worker process."""

from collections.abc import AsyncIterator
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from base.database.connection import open_database
from base.database.errors import DatabaseError
from base.database.needs import missing
from base.settings import Settings
from workers.handlers import provides

_log = structlog.get_logger(__name__)


@provides(AsyncEngine)
async def database(settings: Settings, store: Any) -> AsyncIterator[AsyncEngine]:  # noqa: ARG001  (a resource's signature)
    """Says at start what the database lacks. Without DATABASE_URL each use of it is an error that says so."""
    engine = open_database(settings)
    if settings.database_url is not None:
        try:
            problems = await missing(engine)
        except DatabaseError as error:
            _log.warning("database.unavailable", reason=str(error))
        else:
            if problems:
                _log.warning("database.incomplete", missing=problems)
    yield engine
    await engine.dispose()
