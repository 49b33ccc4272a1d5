"""Files that appear whole or not at all: written under a name of the job's own, then moved to their place."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from base.produced import FILE_MODE, Print, sync_folder

ENDING: Final = ".qjobs-part"
"""What the names of unfinished files end in; they begin with a dot."""

MOST: Final = 32
"""Drafts that one start of a job may make."""

_EARLIER: Final = 5
"""Starts before this one whose drafts are looked for. What even older ones have left goes with the temporary files."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A file that is in its place."""

    path: Path
    size: int
    sha256: str


class Draft:
    """A file that is being written. Leaving the block without `publish` deletes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: io.BufferedRandom = open(path, "x+b", opener=_open)  # noqa: SIM115  (closed at the end of the block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.file.close()
        self.path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes so far."""
        self.file.flush()
        return os.fstat(self.file.fileno()).st_size

    def finish(self) -> Print:
        """Puts the content on the disk; nothing is written any more. Answers what it is."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.seek(0)
        digest = hashlib.file_digest(self.file, "sha256").hexdigest()
        status = os.fstat(self.file.fileno())
        return Print(status.st_size, status.st_mtime_ns, digest)

    def publish(self, place: Path) -> None:
        """Moves the file to `place`, which must be a name that nobody else has, once it is on the disk."""
        self.finish()
        self.path.replace(place)
        sync_folder(place.parent)


class Drafts:
    """The unfinished files of one start of a job. Their names are known beforehand, so that no folder need be searched."""

    def __init__(self, job_id: str, start: int) -> None:
        """`start` counts the starts of the job: one that was thought dead keeps out of the way of the next."""
        self._tag = hashlib.sha256(job_id.encode()).hexdigest()[:16]  # any id makes a file's name
        self._start = start
        self._made = 0

    @property
    def tag(self) -> str:
        """Eight digits for the names of finished files, the same for every start of the job."""
        return self._tag[:8]

    def new(self, folder: Path) -> Draft:
        """An empty draft for a file in `folder`. One start makes at most MOST."""
        self._made += 1
        return Draft(folder / self._name(self._start, self._made))

    @contextmanager
    def cleared(self, folder: Path) -> Iterator[None]:
        """Whatever ends the block: nothing unfinished is left in `folder`, of this start or of an earlier one."""
        try:
            yield
        finally:
            self._clear(folder)

    def _clear(self, folder: Path) -> None:
        for start in range(max(1, self._start - _EARLIER), self._start + 1):
            for number in range(1, MOST + 1):
                (folder / self._name(start, number)).unlink(missing_ok=True)

    def _name(self, start: int, number: int) -> str:
        return f".{self._tag}-{start}-{number}{ENDING}"


def is_draft(name: str) -> bool:
    """Whether a file of that name is unfinished."""
    return name.startswith(".") and name.endswith(ENDING)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)
