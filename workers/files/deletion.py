"""Deletes files by their age, within the storage roots alone, and counts what became of each."""

import fnmatch
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import anyio

from base.storage import MARKER, StoragePathError, StorageRoots

_BATCH: Final = 100
"""Files that are deleted between two looks at whether the job goes on."""


@dataclass(slots=True)
class Removal:
    """What became of files that were to be deleted."""

    total: int = 0
    """Files that were looked at."""
    deleted: int = 0
    skipped: int = 0
    """Files that are too young, or gone already."""
    freed: int = 0
    """Bytes."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why files could not be deleted, by their path."""
    refused: int = 0
    """How many of the failures no further attempt can help."""


class Deletion:
    """Deletes files that were not changed for `older_than` seconds."""

    def __init__(self, roots: StorageRoots, older_than: float) -> None:
        self._roots = roots
        self._before = time.time() - older_than
        self._folders: dict[str, Path] = {}
        """Where the folders of the files at hand are, which many of them share."""
        self.removal = Removal()

    async def run(self, paths: Iterable[str | Path], tell: Callable[[int], Awaitable[None]] | None = None) -> Removal:
        """Deletes the files, some at a time in a thread; `tell` is told after each how many were looked at."""
        left = iter(paths)
        while await anyio.to_thread.run_sync(self._some, left):
            if tell is not None:
                await tell(self.removal.total)
        return self.removal

    def delete(self, path: str | Path) -> None:
        """Deletes one file. A symbolic link is deleted itself, if what it leads to lies within the roots as well."""
        removal = self.removal
        removal.total += 1
        try:
            place = self._place(str(path))
            status = place.lstat()
            if stat.S_ISDIR(status.st_mode):
                raise StoragePathError("is a folder; name files")  # noqa: TRY301  (counted as others are)
            if status.st_mtime > self._before:
                removal.skipped += 1
                return
            place.unlink()
        except FileNotFoundError:
            removal.skipped += 1
        except StoragePathError as error:
            removal.refused += 1
            removal.failures[str(path)] = str(error)
        except OSError as error:
            removal.failures[str(path)] = error.strerror or str(error)
        else:
            removal.deleted += 1
            removal.freed += status.st_size

    def _some(self, paths: Iterator[str | Path]) -> bool:
        self._folders.clear()
        batch = list(islice(paths, _BATCH))
        for path in batch:
            self.delete(path)
        return bool(batch)

    def _place(self, path: str) -> Path:
        """Where the file is: links in its folder followed, a link in its place not, and both ends within the roots."""
        folder, name = os.path.split(path)
        if name in {"", ".", ".."}:
            raise StoragePathError("is a folder; name files")
        if name == MARKER or "\0" in name:
            self._roots.resolve(path)  # says why not
        if folder not in self._folders:
            self._folders[folder] = self._roots.resolve(folder or ".")
        place = self._folders[folder] / name
        if place.is_symlink():
            self._roots.resolve(path)
        return place


def files_in(folder: Path, pattern: str = "*", *, recursive: bool = True) -> Iterator[Path]:
    """The files of a folder, and links to files, whose names match. Links to folders are not followed."""
    for parent, folders, names in os.walk(folder, followlinks=False):
        if not recursive:
            folders.clear()
        for name in names:
            if name != MARKER and fnmatch.fnmatch(name, pattern):
                yield Path(parent, name)
