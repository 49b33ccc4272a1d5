"""Who is let in: how many streams there may be, and whether the service stops."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from qcollector.jobs.v1.options_pb2 import Role

from contract.errors import RateLimitedError
from engine.links import DownloadLinks
from service.auth import Principal, TokenVerifier
from service.interceptor.telemetry import AccessLog, CallMetrics

STREAMS_OF_A_USER: Final = 100
STREAMS_OF_A_SERVICE: Final = 5_000
"""Also of an administrator: behind one of these tokens may be a whole front end."""
STREAMS: Final = 20_000


class StreamLimits:
    """The open streams of a service process, by caller."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def hold(self, principal: Principal) -> Iterator[None]:
        """Counts one stream while it is open. Raises RateLimitedError if that is one too many."""
        limit = STREAMS_OF_A_USER if principal.level < Role.ROLE_SERVICE else STREAMS_OF_A_SERVICE
        if self._open[principal.id] >= limit or self._open.total() >= STREAMS:
            raise RateLimitedError("too many open streams; close some and try again", retry_after=5, limit=limit)
        self._open[principal.id] += 1
        try:
            yield
        finally:
            self._open[principal.id] -= 1
            if not self._open[principal.id]:
                del self._open[principal.id]


_AGAIN_SECONDS: Final = 0.1


class AdmissionControl:
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
