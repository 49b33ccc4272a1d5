"""Names what was deleted: in the job's log as many files as it has room for, in the process's log all of them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from workers.context import JobContext

LINES: Final = 60
"""Lines with names that a job's log takes, of the 200 that it holds."""
_LENGTH: Final = 1900
"""Characters of a line."""


class DeletionLog:
    """The names of what one job deletes."""

    def __init__(self, job: JobContext) -> None:
        self._job = job
        self._lines = 0
        self._unnamed = 0

    async def deleted(self, paths: Sequence[Path]) -> None:
        """Names these files."""
        if not paths:
            return
        names = [shown(path) for path in paths]
        self._job.log.info("files_deleted", files=names)
        while names:
            line = [names.pop(0)]
            while names and sum(map(len, line)) + 2 * len(line) + len(names[0]) <= _LENGTH:
                line.append(names.pop(0))
            if self._lines < LINES:
                self._lines += 1
                await self._job.say(f"deleted: {', '.join(line)}")
            else:
                self._unnamed += len(line)

    async def end(self) -> None:
        """Tells how many files the job's log has no room for."""
        if self._unnamed:
            await self._job.say(f"deleted: {self._unnamed} more, which the worker's log names (files_deleted)")


def shown(path: str | Path) -> str:
    """A path as it can be written in a line: what is not printable is escaped, and bytes that are no UTF-8 too."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
