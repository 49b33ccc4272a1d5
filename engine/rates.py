"""A limit on how often something happens, over all processes together."""

import math
from typing import Final

from contract.errors import RateLimitedError
from engine.store import Store

_MICROSECONDS: Final = 1_000_000
_FOREVER: Final = 2**52
"""Longer than any wait, and exact as a Lua number."""


class RateLimit:
    """Spaces what happens evenly, so that no minute sees more than `per_minute` of it, by the store's clock alone."""

    def __init__(self, store: Store, name: str, per_minute: int) -> None:
        """`name` is what is limited: processes that give the same one share the limit. 0 a minute means no limit."""
        self._store = store
        self._scope = f"rate.{name}"
        self._per_minute = per_minute

    async def reserve(self, patience: float = math.inf) -> float:
        """Takes the next place, and answers the seconds to wait until it comes: 0 is now.

        Raises:
          RateLimitedError: it is more than `patience` seconds away. Nothing is taken; `retry_after` says how long.
          StoreUnavailableError: nobody can say.
        """
        if self._per_minute == 0:
            return 0.0
        longest = int(min(patience * _MICROSECONDS, _FOREVER))
        wait, taken = await self._store.run("throttle", self._scope, self._per_minute, longest)
        seconds = float(wait) / _MICROSECONDS
        if not taken:
            raise RateLimitedError(f"No more than {self._per_minute} a minute are allowed.", retry_after=seconds)
        return seconds
