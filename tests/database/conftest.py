"""An open database of the test's own."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from families.database.connection import open_database


@pytest.fixture
async def engine(database: Settings) -> AsyncIterator[AsyncEngine]:
    """With the application's tables, all empty."""
    opened = open_database(database)
    yield opened
    await opened.dispose()


@pytest.fixture
async def sample_engine(sample_database: Settings) -> AsyncIterator[AsyncEngine]:
    opened = open_database(sample_database)
    yield opened
    await opened.dispose()
