"""The job engine itself, for handlers that look at it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from base.resources import provides
from base.settings import Settings
from contract.catalog import Catalog, load_catalog
from engine.inspection import Inspection
from engine.presence import Presence
from engine.store import Store


@dataclass(frozen=True, slots=True)
class JobEngine:
    """What a handler may ask."""

    store: Store
    catalog: Catalog

    @property
    def queues(self) -> Sequence[str]:
        return tuple(self.catalog.queues)

    @property
    def inspection(self) -> Inspection:
        return Inspection(self.store, {name: policy.max_active for name, policy in self.catalog.queues.items()})

    @property
    def presence(self) -> Presence:
        return Presence(self.store)


@provides(JobEngine)
async def job_engine(settings: Settings, store: Any) -> AsyncIterator[JobEngine]:
    yield JobEngine(store, load_catalog(settings.job_plugins))
