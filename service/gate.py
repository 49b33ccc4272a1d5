"""What all calls of a service process share: who is let in, how many streams there are, and whether it stops."""

import asyncio
from typing import Any

from service.auth import TokenVerifier
from service.limits import StreamLimits


class Gate:
    """Open until `close` is called."""

    def __init__(self, verifier: TokenVerifier, limits: StreamLimits) -> None:
        self.verifier = verifier
        self.limits = limits
        self.closing = asyncio.Event()
        self.lasting: set[asyncio.Task[Any]] = set()
        """The calls that would keep the service from stopping."""

    def close(self) -> None:
        """Refuses new calls from here on, and ends those that may last: their callers are told to come back."""
        self.closing.set()
        for task in tuple(self.lasting):
            task.cancel()
