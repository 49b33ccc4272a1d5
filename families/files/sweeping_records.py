"""Drops from the storage roots' records the entries of files that are gone."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import anyio

from base.produced import Record
from base.storage import StorageRoots

_BATCH: Final = 1000
"""Entries between two looks at whether the job goes on."""


async def sweep_records(roots: StorageRoots) -> int:
    """Answers how many entries were dropped."""
    dropped = 0
    for root in set(roots.roots.values()):
        sweep = Record(root).sweep()
        while (some := await anyio.to_thread.run_sync(_some, sweep)) is not None:
            dropped += some
    return dropped


def _some(sweep: Iterator[int]) -> int | None:
    found = list(islice(sweep, _BATCH))
    return sum(found) if found else None
