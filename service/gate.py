"""What all calls of a service process share: who is let in, how many streams there are, and whether it stops."""

import asyncio
import contextlib
import time
from typing import Any, Final

from engine.links import DownloadLinks
from service.access_log import AccessLog
from service.auth import TokenVerifier
from service.limits import StreamLimits
from service.metrics import CallMetrics

_AGAIN_SECONDS: Final = 0.1


class Gate:
    """Open until `close` is called."""

    def __init__(self, verifier: TokenVerifier, limits: StreamLimits, links: DownloadLinks) -> None:
        self.verifier = verifier
        self.links = links
        self.access = AccessLog()
        self.limits = limits
        self.metrics = CallMetrics()
        self.closing = asyncio.Event()
        self.lasting: set[asyncio.Task[Any]] = set()
        """The calls that would keep the service from stopping."""
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self) -> None:
        """Counts a call that has come."""
        self._inside += 1
        self._empty.clear()

    def leave(self) -> None:
        """Counts a call that was answered."""
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    def problem(self) -> str:
        """Why no calls should be sent here; empty while they are taken. Without its store the service still answers."""
        return "the service is stopping" if self.closing.is_set() else ""

    def close(self) -> None:
        """Refuses new calls from here on, and ends those that may last: their callers are told to come back."""
        self.closing.set()
        for task in tuple(self.lasting):
            task.cancel()

    async def wait_until_empty(self, seconds: float) -> None:
        """Returns once every call was answered, or after so many seconds.

        Until then the calls that may last are cancelled again and again: each may have caught a cancel.
        """
        end = time.monotonic() + seconds
        while self._inside and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, _AGAIN_SECONDS)):
                    await self._empty.wait()
            self.close()
