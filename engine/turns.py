"""Turns at the store: how many calls a process makes at once, and what becomes of those that wait while none is answered."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator
from typing import Final

from redis import exceptions as redis_errors

from engine.errors import StoreUnavailableError

RETRY_AFTER: Final = 2.0
"""Seconds after which a caller may try again while the store is away."""
STANDSTILL_SECONDS: Final = 1.0
"""A call that fails later than this was not answered: to ask again would keep a caller waiting as long once more."""


class Turns:
    """Held during each call, but for those that wait for something to happen. Further calls wait.

    Once a call has gone unanswered, all who waited meanwhile are told so: one after the other, each would wait as long again.
    Not where others have been answered just now: then it was its connection, or its node, that failed, and not the store.
    """

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._unanswered_at = -math.inf
        self._answered_at = -math.inf

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Raises StoreUnavailableError where the store left a call unanswered while this one waited for its turn."""
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
        """Raises StoreUnavailableError where the store has left a call unanswered after this moment."""
        if self._unanswered_at >= since:
            raise store_away()


def store_away() -> StoreUnavailableError:
    return StoreUnavailableError(
        "The job store cannot be reached. Nothing was lost; try again.", retry_after=RETRY_AFTER
    )
