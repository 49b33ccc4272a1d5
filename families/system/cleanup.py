"""The tasks of system:cleanup, each by itself: one that fails keeps none of the others from being done."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import anyio
from qcollector.jobs.v1.system_pb2 import (
    SystemCleanupDetail,
    SystemCleanupOutcome,
    SystemCleanupTask,
    SystemCleanupTaskType,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from base.storage import StoragePathError, StorageRoots
from contract.errors import JobServiceError
from contract.json_scalars import enum_words
from engine.kept_results import KeptResults
from families.database.errors import DatabaseError
from families.files.deletion import files_in
from families.files.deletion_log import DeletionLog, shown
from families.files.leftovers import leftovers
from families.files.orphans import OrphansRefusedError, find_orphans
from families.files.settings import FileSettings
from families.system.sessions import remove_sessions
from families.system.sweeping import (
    ANY,
    EXAMPLES,
    Swept,
    matching,
    remove_empty_folders,
    sweep,
    without_own_logs,
)

_DAY: Final = 24 * 60 * 60.0
_AGES: Final = {"temp_files": _DAY, "old_sessions": 7 * _DAY, "old_logs": 30 * _DAY, "orphaned_files": _DAY}
"""Seconds, for tasks that do not say."""
_LOGS: Final = "*.log|*.log.*|*.out"
_WORDS: Final = {number: word for word, number in enum_words(SystemCleanupTaskType.DESCRIPTOR).items()}
_NAMED: Final = 5
"""Failures that an error names."""

_PROBLEMS: Final = (StoragePathError, OrphansRefusedError, DatabaseError, JobServiceError, OSError)
"""What keeps a task from being done, and is said in words that its reader understands."""


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What the tasks work on."""

    settings: Settings
    roots: StorageRoots
    engine: AsyncEngine
    kept: KeptResults
    log: DeletionLog

    async def run(self, task: SystemCleanupTask) -> SystemCleanupDetail:
        """Does one task; whatever hinders it is in the answer."""
        word = word_of(task)
        seconds = task.max_age / 1000 if task.HasField("max_age") else _AGES.get(word, 0.0)
        do: Mapping[str, Callable[[SystemCleanupTask, float], Awaitable[Swept]]] = {
            "old_files": self._old_files,
            "temp_files": self._temp_files,
            "old_sessions": self._old_sessions,
            "old_logs": self._old_logs,
            "cache_cleanup": self._cache,
            "orphaned_files": self._orphaned_files,
        }
        try:
            outcome, failures = await do[word](task, seconds)
        except _PROBLEMS as error:
            return SystemCleanupDetail(task=word, error=_text(error))
        return SystemCleanupDetail(task=word, success=not failures, result=outcome, error=_listed(failures))

    async def _old_files(self, task: SystemCleanupTask, seconds: float) -> Swept:
        folder = self.roots.resolve(task.directory)
        return await self._files_of(folder, task.pattern or ANY, seconds, produced=task.produced)

    async def _old_logs(self, task: SystemCleanupTask, seconds: float) -> Swept:
        folder = self.roots.resolve(task.directory) if task.directory else self.roots.roots["log"]
        return await self._files_of(folder, task.pattern or _LOGS, seconds)

    async def _files_of(self, folder: Path, pattern: str, seconds: float, *, produced: bool = False) -> Swept:
        if not await anyio.Path(folder).is_dir():
            raise StoragePathError(f"{folder} is missing or is not a folder")
        files = filter(matching(pattern), files_in(folder, recursive=False))
        others = without_own_logs(files, self.roots.roots["log"])
        return await sweep(self.roots, others, seconds, self.log, produced=produced)

    async def _temp_files(self, task: SystemCleanupTask, seconds: float) -> Swept:
        files = filter(matching(task.pattern or ANY), leftovers(self.roots))
        swept = await sweep(self.roots, files, seconds, self.log)
        await remove_empty_folders(self.roots.roots["temp"], seconds)
        return swept

    async def _old_sessions(self, _task: SystemCleanupTask, seconds: float) -> Swept:
        return await remove_sessions(
            self.engine, seconds, only_report=not FileSettings.of(self.settings).cleanup_delete
        )

    async def _cache(self, _task: SystemCleanupTask, seconds: float) -> Swept:
        dropped = await self.kept.drop(round(seconds * 1000))
        outcome = SystemCleanupOutcome(scanned=len(dropped), deleted=len(dropped), examples=dropped[:EXAMPLES])
        return Swept(outcome, {})

    async def _orphaned_files(self, task: SystemCleanupTask, seconds: float) -> Swept:
        upload = self.roots.roots["upload"]
        folder = self.roots.resolve(task.directory) if task.directory else upload
        if not folder.is_relative_to(upload) or not await anyio.Path(folder).is_dir():
            raise StoragePathError(
                "the directory is no folder in UPLOAD_DIR; only there files have rows that name them"
            )
        found = await find_orphans(self.engine, self.roots, folder)
        left = [*found.left]
        swept = Swept(SystemCleanupOutcome(), {})
        if FileSettings.of(self.settings).cleanup_delete:
            swept = await sweep(self.roots, found.paths, max(seconds, _DAY), self.log)
        else:
            left += found.paths
        outcome = swept.outcome
        outcome.scanned, outcome.reported = found.looked_at, len(left)
        outcome.produced += found.produced
        outcome.reported_examples.extend(shown(path) for path in left[:EXAMPLES])
        return swept


def word_of(task: SystemCleanupTask) -> str:
    """The task's documented word."""
    return _WORDS[task.type]


def summary(detail: SystemCleanupDetail) -> str:
    """What one task did, in a line."""
    parts = [detail.task + ":"]
    if detail.HasField("result"):
        done = detail.result
        parts.append(f"{done.deleted} of {done.scanned} removed, {done.freed:.0f} bytes freed")
        if done.reported:
            parts.append(f"({done.reported} would be; CLEANUP_DELETE is not set, or jobs may have made them)")
        if done.produced:
            parts.append(f"({done.produced} were made by jobs and stay)")
        if done.untold:
            parts.append(f"({done.untold} stay, as the record of what jobs have made is missing or cannot be read)")
    if detail.error:
        parts.append(f"failed: {detail.error}")
    return " ".join(parts)


def _listed(failures: Mapping[str, str]) -> str:
    if not failures:
        return ""
    named = "; ".join(f"{name}: {reason}" for name, reason in islice(failures.items(), _NAMED))
    more = f"; and {len(failures) - _NAMED} more" if len(failures) > _NAMED else ""
    return f"{len(failures)} could not be removed: {named}{more}"


def _text(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    return error.message if isinstance(error, JobServiceError) else str(error)
