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

from base.produced import OWN_FOLDER, Origin, Record
from base.storage import MARKER, RootName, StoragePathError, StorageRoots
from families.files.deletion_log import DeletionLog, shown

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
    produced: int = 0
    """Files that jobs have made, which stay."""
    untold: int = 0
    """Files that stay because nothing tells whether a job made them: the root's record is missing or cannot be read."""
    freed: int = 0
    """Bytes."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why files could not be deleted, by their path."""
    refused: int = 0
    """How many of the failures no further attempt can help."""


class Deletion:
    """Deletes files that were not changed for `older_than` seconds; what jobs have made stays, unless `produced` is set."""

    def __init__(
        self, roots: StorageRoots, older_than: float, log: DeletionLog | None = None, *, produced: bool = False
    ) -> None:
        """`produced` says that whoever asks means what jobs have made, too: it is named."""
        self._roots = roots
        self._produced = produced
        self._log = log
        self._before = time.time() - older_than
        self._records: dict[RootName, Record | None] = {}
        """Of the roots of the files at hand; None for one that is missing or cannot be read."""
        self._deleted: list[Path] = []
        """What was deleted and is not in the log yet."""
        self._folders: dict[str, Path] = {}
        """Where the folders of the files at hand are, which many of them share."""
        self.removal = Removal()

    async def run(self, paths: Iterable[str | Path], tell: Callable[[int], Awaitable[None]] | None = None) -> Removal:
        """Deletes the files, some at a time in a thread; `tell` is told after each how many were looked at."""
        left = iter(paths)
        while await anyio.to_thread.run_sync(self._some, left):
            if self._log is not None:
                await self._log.deleted(self._deleted)
            self._deleted.clear()
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
            if not self._produced and self._stays(place):
                return
            with self._roots.record(place).leaving(place):
                place.unlink()
        except FileNotFoundError:
            removal.skipped += 1
        except StoragePathError as error:
            removal.refused += 1
            removal.failures[shown(path)] = str(error)
        except OSError as error:
            removal.failures[shown(path)] = error.strerror or str(error)
        else:
            removal.deleted += 1
            self._deleted.append(place)
            removal.freed += status.st_size

    def _some(self, paths: Iterator[str | Path]) -> bool:
        self._folders.clear()
        self._records.clear()
        batch = list(islice(paths, _BATCH))
        for path in batch:
            self.delete(path)
        return bool(batch)

    def _stays(self, place: Path) -> bool:
        """Whether a job has made the file, or may have."""
        name = self._roots.of(place)
        if name not in self._records:
            found = self._roots.record(place)
            self._records[name] = None if found.since() is None else found
        record = self._records[name]
        origin = Origin.UNKNOWN if record is None else record.origin(place)
        self.removal.produced += origin is Origin.MADE
        self.removal.untold += origin is Origin.UNKNOWN
        return origin is not Origin.OTHER

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
        folders[:] = [each for each in folders if each != OWN_FOLDER] if recursive else []
        for name in names:
            if name != MARKER and fnmatch.fnmatch(name, pattern):
                yield Path(parent, name)
