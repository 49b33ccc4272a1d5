"""Turns at the store: how many calls a process makes at once, and what becomes of those that wait while it stands still."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator
from typing import Final

from redis import exceptions as redis_errors

from contract.errors import StoreUnavailableError

RETRY_AFTER: Final = 2.0
"""Seconds after which a caller may try again while the store is away."""
STANDSTILL_SECONDS: Final = 1.0
"""A call that fails later than this went unanswered: trying again would keep its caller waiting as long once more."""


class Turns:
    """Bounds the calls under way, but for those that block until something happens. Further calls wait for a turn.

    Once a call has gone unanswered, those that waited meanwhile fail at once: one after the other, each would wait as long
    again. Not if others were answered within that time: then a connection or a node has failed, and not the store.
    """

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._unanswered_at = -math.inf
        self._answered_at = -math.inf

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Held during one call. Raises StoreUnavailableError if another call went unanswered while this one waited."""
        since = time.monotonic()
        async with self._free:
            self.check(since)
            began = time.monotonic()
            try:
                yield
            except (redis_errors.RedisError, OSError):
                now = time.monotonic()
                if now - max(began, self._answered_at) > STANDSTILL_SECONDS:
                    self._unanswered_at = now
                raise
            self._answered_at = time.monotonic()

    def check(self, since: float) -> None:
        """Raises StoreUnavailableError if a call has gone unanswered since that moment, by the monotonic clock."""
        if self._unanswered_at >= since:
            raise store_away()


def store_away() -> StoreUnavailableError:
    """The error for a store that cannot be reached."""
    return StoreUnavailableError(
        "The job store cannot be reached. Nothing was lost; try again.", retry_after=RETRY_AFTER
    )
