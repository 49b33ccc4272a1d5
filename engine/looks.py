"""Turns of those that look through many jobs, so that callers who enqueue do not notice them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from engine.turns import Turns

REST: Final = 3
"""How long the store is left to others after each look while further ones wait: this many times what the look took."""
LONGEST_REST_SECONDS: Final = 0.1


class Looks:
    """One at a time in a process, since the store does nothing else while a script runs.

    Where several callers look, the store has a rest after each look. A caller that is alone never waits.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._lock = asyncio.Lock()
        self._callers = 0
        self._rested_at = 0.0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Held during one script call. Raises StoreUnavailableError as the turn of that call does."""
        self._callers += 1
        since = time.monotonic()
        try:
            async with self._lock:
                self._turns.check(since)
                rest = self._rested_at - time.monotonic()
                if rest > 0 and self._callers > 1:
                    await asyncio.sleep(rest)
                began = time.monotonic()
                try:
                    yield
                finally:
                    ended = time.monotonic()
                    self._rested_at = ended + min(REST * (ended - began), LONGEST_REST_SECONDS)
        finally:
            self._callers -= 1
