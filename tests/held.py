"""A table that somebody has locked keeps whoever wants its rows waiting for as long as a test likes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from base.settings import Settings
from tests.postgres import database_address


class Held:
    """Submissions, locked."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def waits(self) -> bool:
        """Whether somebody waits for them."""
        return bool(
            await self._connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )


@asynccontextmanager
async def held(settings: Settings) -> AsyncIterator[Held]:
    """Held for as long as the block lasts."""
    address = database_address(settings)
    holding, looking = await asyncpg.connect(address), await asyncpg.connect(address)  # a transaction sees one moment
    try:
        async with holding.transaction():
            await holding.execute("LOCK TABLE submissions IN ACCESS EXCLUSIVE MODE")
            yield Held(looking)
    finally:
        await holding.close()
        await looking.close()
