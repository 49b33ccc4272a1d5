"""Analytics of the sample data, by a worker on a real database and a real store."""

from collections.abc import AsyncIterator

import pytest

from base.settings import Settings
from contract.catalog import Catalog
from engine.store import Store
from tests.desk import Desk, working
from tests.postgres import PostgresServer

QUEUES = ("analytics:calculate",)


@pytest.fixture
async def desk(postgres: PostgresServer, settings: Settings, store: Store, catalog: Catalog) -> AsyncIterator[Desk]:
    """On sample data that nobody changes."""
    told = await postgres.itself("sample")
    async with working(settings.model_copy(update=told), store, catalog, QUEUES) as opened:
        yield opened


@pytest.fixture
async def own_desk(postgres: PostgresServer, settings: Settings, store: Store, catalog: Catalog) -> AsyncIterator[Desk]:
    """On sample data of the test's own."""
    async with (
        postgres.copy("sample") as told,
        working(settings.model_copy(update=told), store, catalog, QUEUES) as opened,
    ):
        yield opened
