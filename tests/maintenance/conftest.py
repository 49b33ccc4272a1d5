"""Maintenance of the sample data, by a worker on a real database and a real store."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from base.settings import Settings
from contract.catalog import Catalog
from engine.store import Store
from tests.desk import Desk
from tests.desk import working as at_work

QUEUES = ("system:cleanup", "system:backup")
DAY = 24 * 3600


def working(settings: Settings, store: Store, catalog: Catalog, **changes: Any) -> AbstractAsyncContextManager[Desk]:
    return at_work(settings, store, catalog, QUEUES, **changes)


@pytest.fixture
async def desk(settings: Settings, store: Store, catalog: Catalog) -> AsyncIterator[Desk]:
    """Without a database."""
    async with working(settings, store, catalog) as opened:
        yield opened


@pytest.fixture
async def sample_desk(sample_database: Settings, store: Store, catalog: Catalog) -> AsyncIterator[Desk]:
    """On the sample data, whose database is the user's own as far as the settings say."""
    async with working(sample_database, store, catalog) as opened:
        yield opened


def aged(path: Path, days: float, text: str = "content") -> Path:
    """A file that was written so long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path
