"""The kept results of analytics, one access for each worker process."""

from collections.abc import AsyncIterator
from typing import Any, Final

from base.settings import Settings
from engine.kept_results import KeptResults
from workers.handlers import provides

ANALYTICS: Final = "analytics"


@provides(KeptResults)
async def kept_analytics(settings: Settings, store: Any) -> AsyncIterator[KeptResults]:  # noqa: ARG001  (a resource's signature)
    yield KeptResults(store, ANALYTICS)
