"""The cleanup job: named files, or what lies about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from base.storage import StorageRoots
from families.files.deletion import Deletion, Removal
from families.files.deletion_log import DeletionLog, shown
from families.files.leftovers import leftovers
from families.files.orphans import MIN_AGE, Orphans, find_orphans
from families.files.settings import FileSettings
from families.files.sweeping_records import sweep_records
from workers.context import JobContext
from workers.outcomes import FailForGood

SHOWN: Final = 100
"""Files that a job names of those that it leaves, or cannot delete."""

_IN_REASON: Final = 20


class CleanupFailedError(Exception):
    """Some files could not be deleted, which may go better next time."""


@dataclass(slots=True)
class Cleaned:
    """What came of a cleanup."""

    removal: Removal
    reported: list[str] = field(default_factory=list)
    """Orphans that were left; the first of them."""
    reported_total: int = 0
    orphans_skipped: str = ""
    """Why there was no look for orphans."""

    async def fail_if_any_failed(self, job: JobContext) -> None:
        """Ends the job as failed if a file could not be deleted, naming each.

        Raises:
          FailForGood: no further attempt can delete them.
          CleanupFailedError: one may.
        """
        removal = self.removal
        if not removal.failures:
            return
        lines = [f"{file}: {error}" for file, error in removal.failures.items()]
        for line in lines[:SHOWN]:
            await job.say(line)
        more = f"; and {len(lines) - _IN_REASON} more, see the job's log" if len(lines) > _IN_REASON else ""
        reason = (
            f"{len(lines)} of {removal.total} files could not be deleted ({removal.deleted} were, {removal.skipped} "
            f"skipped): {'; '.join(lines[:_IN_REASON])}{more}"
        )
        if removal.refused == len(lines):
            raise FailForGood(reason)
        raise CleanupFailedError(reason)


async def clean_named(files: Sequence[str], older_than: float, job: JobContext, roots: StorageRoots) -> Cleaned:
    """Deletes these files if they are older than so many seconds."""

    async def tell(looked_at: int) -> None:
        await job.progress(10 + 85 * looked_at / len(files), "deleting")

    log = DeletionLog(job)
    cleaned = Cleaned(await Deletion(roots, older_than, log, produced=True).run(files, tell))
    await log.end()
    return cleaned


async def clean_up(older_than: float, job: JobContext, roots: StorageRoots, engine: AsyncEngine) -> Cleaned:
    """Deletes temporary files older than so many seconds (0: a day), and orphaned uploads. What jobs have made stays."""
    age = older_than or MIN_AGE
    log = DeletionLog(job)
    await job.progress(10, "temporary files")
    cleaned = Cleaned(await Deletion(roots, age, log).run(leftovers(roots)))
    removal = cleaned.removal
    await job.say(
        f"temporary files: {removal.deleted} deleted, {removal.skipped} are too young, {removal.produced} were made by jobs "
        f"and stay"
    )
    if removal.untold:
        await job.say(f"temporary files: {removal.untold} stay, as the record of what jobs have made cannot be read")
    if FileSettings.of(job.settings).database_url is None:
        cleaned.orphans_skipped = "there is no database: set DATABASE_URL"
        await job.say(f"orphaned uploads: not looked for, as {cleaned.orphans_skipped}")
    else:
        await job.progress(50, "orphaned uploads")
        await _clean_orphans(cleaned, max(age, MIN_AGE), job, roots, await find_orphans(engine, roots), log)
    await log.end()
    await job.progress(95, "records of files that are gone")
    await sweep_records(roots)
    return cleaned


async def _clean_orphans(
    cleaned: Cleaned, age: float, job: JobContext, roots: StorageRoots, orphans: Orphans, log: DeletionLog
) -> None:
    cleaned.removal.produced += orphans.produced
    left = [*orphans.left]
    if orphans.left:
        await job.say(
            f"orphaned uploads: {len(orphans.left)} left, which jobs may have made: they are older than the record of what "
            "jobs make, or it is missing or unreadable; delete by name those that nobody needs"
        )
    if not FileSettings.of(job.settings).cleanup_delete:
        left += orphans.paths
        await job.say(f"orphaned uploads: {len(orphans.paths)} found and left; CLEANUP_DELETE=true deletes them")
    else:
        orphaned = Deletion(roots, age, log)
        orphaned.removal = cleaned.removal
        before = cleaned.removal.deleted
        await orphaned.run(orphans.paths)
        await job.say(f"orphaned uploads: {cleaned.removal.deleted - before} deleted")
    cleaned.reported = [shown(path) for path in left[:SHOWN]]
    cleaned.reported_total = len(left)
