"""Files in the making: unseen until they are whole, gone when they will not be, and never two jobs in one."""

import hashlib
import os
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec

from base.output_names import Maker, tagged, taken
from base.produced import FILE_MODE, FOLDER_MODE, Print, Record
from base.storage import EXPORTS_OWN_FOLDER

_BETWEEN: Final = "~"
"""Between a job's id and the number of its start: no id holds it."""


class Made(msgspec.Struct, frozen=True):
    """What is kept of a file that was made, so that it, and no other, can be removed in time."""

    path: str
    """Below EXPORT_DIR."""
    size: int
    modified: int
    """Nanoseconds."""
    expires: float
    """Unix time in seconds."""


class Draft:
    """The file of one start of a job, written through `write` or in pieces below `folder`. All calls block."""

    def __init__(self, root: Path, job_id: str, start: int) -> None:
        """`root` is EXPORT_DIR; `start` counts the starts of the job."""
        self._root = root
        self._job_id = job_id
        self._start = start
        self.folder = drafts_below(root) / f"{job_id}{_BETWEEN}{start}"
        self.size = 0
        """Bytes written so far."""
        self.closing = ExitStack()
        """What must be closed before the pieces below `folder` can be removed."""
        self._digest = hashlib.sha256()

    def open(self) -> None:
        """Begins; what an earlier start of the job has left is removed."""
        for other in self.folder.parent.glob(f"{self._job_id}{_BETWEEN}*"):
            if int(other.name.rpartition(_BETWEEN)[2]) < self._start:
                shutil.rmtree(other, ignore_errors=True)
        self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "file", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        self._file = os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    @property
    def sha256(self) -> str:
        """Of all that was written, in hexadecimal."""
        return self._digest.hexdigest()

    def publish(self, place: Path, expires: float, record: Record, by: Maker) -> Path:
        """Puts the file in its place, or beside it if another maker's file is there, whole and on disk; answers where.

        Raises:
          NamesTakenError: other files have all the names that were tried.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        state = os.fstat(self._file.fileno())
        self._file.close()
        place.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        prints = {"file": Print(state.st_size, state.st_mtime_ns, self.sha256)}
        with taken(record, place.parent, prints, lambda _, suffix: tagged(place.name, suffix), by) as names:
            relative = str(names.places["file"].relative_to(self._root))
            self._note(Made(relative, state.st_size, state.st_mtime_ns, expires))
            found = names.put("file", self.folder / "file")
        self.discard()
        return found

    def discard(self) -> None:
        """Removes what there is of it, unless it was published."""
        self.closing.close()
        with suppress(AttributeError, OSError):  # it may never have been opened, or the disk is full
            self._file.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, made: Made) -> None:
        note = self.folder / "note"
        note.write_bytes(msgspec.json.encode(made))
        folder = notes_below(self._root)
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        note.replace(folder / self._job_id)


def drafts_below(root: Path) -> Path:
    return root / EXPORTS_OWN_FOLDER / "drafts"


def notes_below(root: Path) -> Path:
    return root / EXPORTS_OWN_FOLDER / "made"
