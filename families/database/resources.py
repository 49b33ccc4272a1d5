"""The application's database, one engine for each process."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from base.cancelling import cancel
from base.resources import provides
from base.settings import Settings
from base.telemetry.instruments import Instruments
from families.database.connection import open_database, pool_state
from families.database.needs import tell_missing


def _expose(engine: AsyncEngine, instruments: Instruments) -> None:
    instruments.pools.add("database", partial(pool_state, engine))


@provides(AsyncEngine, _expose)
async def database(settings: Settings, store: Any) -> AsyncIterator[AsyncEngine]:  # noqa: ARG001  (a resource's signature)
    """Says at start what the database lacks. Without DATABASE_URL each use of it is an error that says so."""
    engine = open_database(settings)
    # Beside the work: a database that does not answer is no reason not to start.
    telling = asyncio.create_task(tell_missing(engine, settings))
    try:
        yield engine
    finally:
        await cancel(telling)
        await engine.dispose()
