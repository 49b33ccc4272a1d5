"""The album: what a process of this plugin opens once and shares."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from base.resources import provides
from base.settings import Settings


class Album:
    """Counts greetings. `closed` tells that its process has let go of it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.closed = False


@provides(Album)
async def album(settings: Settings, store: Any) -> AsyncIterator[Album]:
    opened = Album()
    try:
        yield opened
    finally:
        opened.closed = True
