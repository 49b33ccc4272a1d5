"""How many streams a caller, and all callers together, may hold open."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from qcollector.jobs.v1.options_pb2 import Role

from contract.errors import RateLimitedError
from service.auth import Principal

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
