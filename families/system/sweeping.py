"""Removes files by age, and tells what became of them as a cleanup task does."""

import fnmatch
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import anyio
from qcollector.jobs.v1.system_pb2 import SystemCleanupOutcome

from base.produced import OWN_FOLDER
from base.storage import StorageRoots
from families.files.deletion import Deletion
from families.files.deletion_log import DeletionLog, shown

EXAMPLES: Final = 100
"""Things that an outcome names."""
ANY: Final = "*"

_OWN_LOGS: Final = frozenset(
    f"{process}.log" for process in ("service", "worker", "scheduler", "valkey", "postgres", "mail", "envoy")
)
"""What the processes of a stack write to now, in LOG_DIR. What they have put aside has a number at its end."""


class Swept(NamedTuple):
    """What a task did."""

    outcome: SystemCleanupOutcome
    failures: Mapping[str, str]
    """Why things could not be removed, by their name."""


class _Sweep(Deletion):
    """A deletion that remembers the first names."""

    def __init__(self, roots: StorageRoots, older_than: float, log: DeletionLog, *, produced: bool) -> None:
        super().__init__(roots, older_than, log, produced=produced)
        self.examples: list[str] = []

    def delete(self, path: str | Path) -> None:
        before = self.removal.deleted
        super().delete(path)
        if self.removal.deleted > before and len(self.examples) < EXAMPLES:
            self.examples.append(shown(path))


async def sweep(
    roots: StorageRoots, paths: Iterable[Path], seconds: float, log: DeletionLog, *, produced: bool = False
) -> Swept:
    """Deletes those of the files that were not written to for so many seconds; what jobs have made only if `produced`."""
    deletion = _Sweep(roots, seconds, log, produced=produced)
    removal = await deletion.run(paths)
    return Swept(
        SystemCleanupOutcome(
            scanned=removal.total,
            deleted=removal.deleted,
            failed=len(removal.failures),
            freed=removal.freed,
            examples=deletion.examples,
            produced=removal.produced,
            untold=removal.untold,
        ),
        removal.failures,
    )


def matching(pattern: str) -> Callable[[Path], bool]:
    """Whether a file's name matches one of the patterns, which "|" separates."""
    patterns = pattern.split("|")
    return lambda path: any(fnmatch.fnmatchcase(path.name, each) for each in patterns)


def without_own_logs(paths: Iterable[Path], log_folder: Path) -> Iterator[Path]:
    """All but the logs that processes of a stack write to now."""
    return (path for path in paths if not (path.parent == log_folder and path.name in _OWN_LOGS))


async def remove_empty_folders(root: Path, seconds: float) -> None:
    """Removes the folders below `root` that nothing is in and nothing was taken out of for so long."""
    await anyio.to_thread.run_sync(_remove_empty_folders, root, time.time() - seconds)


def _remove_empty_folders(root: Path, before: float) -> None:
    for parent, folders, _, place in os.fwalk(root, topdown=False, follow_symlinks=False):
        for name in folders:
            if OWN_FOLDER in {name, *Path(parent).parts}:
                continue
            try:
                if os.stat(name, dir_fd=place, follow_symlinks=False).st_mtime <= before:
                    os.rmdir(name, dir_fd=place)
            except OSError:
                continue  # something is in it, or it is a link, or somebody else was faster
