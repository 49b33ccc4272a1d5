"""Folders in which backups are made before they appear under their name."""

import hashlib
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from workers.context import JobContext

ENDING: Final = ".unfinished"
FORGOTTEN: Final = timedelta(days=2)
"""Longer than a job of this kind may run, with all of its attempts."""


class Drafts:
    """The drafts of one job in a folder. One for each start, so that a start that was thought dead disturbs no other."""

    def __init__(self, parent: Path, job: JobContext) -> None:
        self.tag = hashlib.sha256(job.job_id.encode()).hexdigest()[:8]  # any id makes a folder's name
        self._parent = parent
        self._start = job.starts

    def new(self) -> Path:
        """An empty draft; those of earlier starts, which may have been killed, are gone."""
        self.clear()
        draft = self._parent / f".{self.tag}-{self._start}{ENDING}"
        draft.mkdir(mode=0o700, parents=True)
        return draft

    def clear(self) -> None:
        """Removes what this start and earlier ones have left."""
        for start in range(1, self._start + 1):
            shutil.rmtree(self._parent / f".{self.tag}-{start}{ENDING}", ignore_errors=True)


def remove_drafts(parent: Path, now: datetime) -> None:
    """Removes drafts of jobs that never came back."""
    before = (now - FORGOTTEN).timestamp()
    for draft in parent.glob(f".*{ENDING}"):
        if not draft.is_symlink() and draft.is_dir() and draft.stat().st_mtime < before:
            shutil.rmtree(draft, ignore_errors=True)
