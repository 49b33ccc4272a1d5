"""Removes backups that are older than BACKUP_RETENTION_DAYS: those alone whose manifest says that this service made them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from families.system.backup.drafts import remove_drafts
from families.system.backup.manifest import NAME, Manifest, ManifestError, read_manifest


def prune(folder: Path, now: datetime, days: float) -> list[str]:
    """Removes old backups from a folder; answers their names. The newest whole one stays, whatever its age.

    What jobs that never came back have left unfinished goes too.
    """
    remove_drafts(folder, now)
    found = sorted(_backups(folder), key=lambda backup: backup[1].created)
    whole = [place for place, manifest in found if not manifest.failed]
    before = now - timedelta(days=days)
    removed = []
    for place, manifest in found:
        if _time(manifest) < before and place != (whole[-1] if whole else None):
            _remove(place, manifest)
            removed.append(place.name)
    return removed


def _backups(folder: Path) -> Iterator[tuple[Path, Manifest]]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            with suppress(ManifestError):
                place = folder / entry.name
                yield place, read_manifest(place / NAME)


def _remove(place: Path, manifest: Manifest) -> None:
    """The manifest goes last, so that whatever was not removed is removed the next time."""
    for name in (*(entry.name for entry in manifest.files), NAME):
        (place / name).unlink(missing_ok=True)
    with suppress(OSError):
        place.rmdir()  # unless somebody put something of their own there


def _time(manifest: Manifest) -> datetime:
    time = datetime.fromisoformat(manifest.created)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
