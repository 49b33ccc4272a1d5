"""The cleanup job: named files, or what lies about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from base.storage import StorageRoots
from workers.context import JobContext
from workers.files.deletion import Deletion, Removal
from workers.files.leftovers import leftovers
from workers.files.orphans import MIN_AGE, find_orphans
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
    """Orphans that were left."""
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

    return Cleaned(await Deletion(roots, older_than).run(files, tell))


async def clean_up(older_than: float, job: JobContext, roots: StorageRoots, engine: AsyncEngine) -> Cleaned:
    """Deletes temporary files older than so many seconds (0: a day), and orphaned uploads."""
    age = older_than or MIN_AGE
    await job.progress(10, "temporary files")
    temporary = Deletion(roots, age)
    cleaned = Cleaned(await temporary.run(leftovers(roots)))
    await job.say(f"temporary files: {cleaned.removal.deleted} deleted, {cleaned.removal.skipped} are too young")
    if job.settings.database_url is None:
        cleaned.orphans_skipped = "there is no database: set DATABASE_URL"
        await job.say(f"orphaned uploads: not looked for, as {cleaned.orphans_skipped}")
        return cleaned
    await job.progress(50, "orphaned uploads")
    orphans = await find_orphans(engine, roots)
    if not job.settings.cleanup_delete:
        cleaned.reported = [str(path) for path in orphans.paths[:SHOWN]]
        await job.say(f"orphaned uploads: {len(orphans.paths)} found and left; CLEANUP_DELETE=true deletes them")
        return cleaned
    orphaned = Deletion(roots, max(age, MIN_AGE))
    orphaned.removal = cleaned.removal
    before = cleaned.removal.deleted
    await orphaned.run(orphans.paths)
    await job.say(f"orphaned uploads: {cleaned.removal.deleted - before} deleted")
    return cleaned
