"""Analytics of the sample data, by a worker on a real database and a real store."""

from collections.abc import AsyncIterator

import pytest

from base.settings import Settings
from engine.catalog import Catalog
from engine.store import Store
from tests.desk import Desk, working

QUEUES = ("analytics:calculate",)


@pytest.fixture
async def desk(sample_database: Settings, store: Store, catalog: Catalog) -> AsyncIterator[Desk]:
    async with working(sample_database, store, catalog, QUEUES) as opened:
        yield opened
