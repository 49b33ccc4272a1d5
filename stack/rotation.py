"""Keeps the output files of programs small that know no better than to append to them."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 10 * 1024 * 1024
KEPT: Final = 5
PAUSE_SECONDS: Final = 10.0


async def keep_small(paths: Sequence[Path]) -> None:
    """Looks after the files until it is cancelled: one beyond 10 MB becomes `<name>.1`, and that in time `.5`."""
    while True:
        for path in paths:
            if path.exists() and path.stat().st_size > MAX_BYTES:
                await asyncio.to_thread(rotate, path)
        await asyncio.sleep(PAUSE_SECONDS)


def rotate(path: Path) -> None:
    """Copies and empties the file: its writer keeps it open, and appends, so that it goes on at the beginning.

    What it writes between the two is lost.
    """
    for number in range(KEPT - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate(0)
