"""Brings what older releases have stored into the layout that this one reads."""

from typing import Final

import structlog

from engine.store import Store

STEPS_AT_ONCE: Final = 50
"""Script calls that housekeeping makes for it at a time, so that leases are renewed in between."""

_log = structlog.get_logger(__name__)


class Layout:
    """The indexes of a store's queues, built from the records and kept in line with them; see lua/upgrade.lua."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def complete(self, queue: str) -> None:
        """Returns once every job of the queue is in its indexes. What was done is kept if it is broken off.

        Raises:
          StoreUnavailableError: the store is away.
        """
        steps = 1
        while await self._store.run("upgrade", queue, 0):
            steps += 1
        if steps > 1:
            _log.info("queue_indexed", queue=queue, steps=steps)

    async def mend(self, queue: str) -> None:
        """Part of the same, for housekeeping, which comes again; also mends what processes of an older release have moved.

        Raises:
          StoreUnavailableError: the store is away.
        """
        for _ in range(STEPS_AT_ONCE):
            if not await self._store.run("upgrade", queue, 1):
                return
