"""Whether a process's event loop still turns, as seen from the thread that answers probes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

BEAT_SECONDS: Final = 1.0
STANDSTILL_SECONDS: Final = 60.0
"""A handler may hold up the loop for a while: it is at fault only beyond this."""


class Pulse:
    """Beats while the loop turns."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def problem(self) -> str:
        """Why the process should be started again; empty if it lives."""
        silent = time.monotonic() - self._last
        if silent > STANDSTILL_SECONDS:
            return f"the event loop has stood still for {silent:.0f} s"
        return ""

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _beat(self) -> None:
        while True:
            self._last = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)
