"""Removes exports and archives once their time is over, and what dead workers have left. Touches nothing else in EXPORT_DIR."""

import asyncio
import contextlib
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import structlog

from base.settings import Settings
from base.storage import StorageRoots
from families.exports.drafts import Made, drafts_below, notes_below
from families.files.archive import ARCHIVES, is_archive
from workers.duties import SchedulerContext

EVERY_SECONDS: Final = 3600.0
ABANDONED_SECONDS: Final = 3600.0
"""A file in the making that nobody has written to for so long belongs to no running job."""
_DAY: Final = 24 * 3600.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed."""

    files: int
    archives: int
    drafts: int


async def tidy_exports(context: SchedulerContext, stopping: asyncio.Event) -> None:
    """Removes what has expired, once an hour until the event is set."""
    while not stopping.is_set():
        try:
            removed = await asyncio.to_thread(remove_expired, context.settings, time.time())
            if removed.files or removed.archives or removed.drafts:
                _log.info("exports_removed", files=removed.files, archives=removed.archives, drafts=removed.drafts)
        except OSError as error:
            _log.warning("exports_untidy", reason=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), EVERY_SECONDS)


def remove_expired(settings: Settings, now: float) -> Removed:
    """Removes what has expired by `now`, a Unix time. Blocks; any number of processes may do it at once."""
    root = settings.root("export")
    roots = StorageRoots(settings)
    before = now - settings.export_retention_days * _DAY
    return Removed(
        files=sum(_remove_made(roots, note, now) for note in _entries(notes_below(root))),
        archives=sum(_remove_archive(roots, path, before) for path in _entries(root / ARCHIVES)),
        drafts=sum(_remove_draft(draft, now) for draft in _entries(drafts_below(root))),
    )


def _remove_made(roots: StorageRoots, note: Path, now: float) -> bool:
    try:
        made = msgspec.json.decode(note.read_bytes(), type=Made)
    except FileNotFoundError:
        return False
    except msgspec.MsgspecError:
        note.unlink(missing_ok=True)
        return False
    if made.expires > now:
        return False
    place = roots.roots["export"] / made.path
    removed = _is_still(place, made)
    if removed:
        with roots.record(place).leaving(place):
            place.unlink(missing_ok=True)
    note.unlink(missing_ok=True)
    return removed


def _is_still(place: Path, made: Made) -> bool:
    """Whether the file is the one that was made, and no other that has taken its place."""
    try:
        state = place.lstat()
    except OSError:
        return False
    return stat.S_ISREG(state.st_mode) and (state.st_size, state.st_mtime_ns) == (made.size, made.modified)


def _remove_archive(roots: StorageRoots, path: Path, before: float) -> bool:
    """By its name and age: in this folder, which callers need not name, nobody else makes files of such names."""
    try:
        state = path.lstat()
        if not is_archive(path.name) or not stat.S_ISREG(state.st_mode) or state.st_mtime > before:
            return False
        with roots.record(path).leaving(path):
            path.unlink()
    except FileNotFoundError:
        return False
    return True


def _remove_draft(draft: Path, now: float) -> bool:
    times = []
    for path in (draft, *_entries(draft)):
        with contextlib.suppress(OSError):
            times.append(path.lstat().st_mtime)
    if not times or max(times) > now - ABANDONED_SECONDS:
        return False
    shutil.rmtree(draft, ignore_errors=True)
    return True


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
