"""Files that appear whole or not at all: written under a name of the job's own, then moved to their place."""

import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ENDING: Final = ".qjobs-part"
"""What the names of unfinished files end in; they begin with a dot."""

_MODE: Final = 0o640


@dataclass(frozen=True, slots=True)
class Finished:
    """A file that is in its place."""

    path: Path
    size: int
    sha256: str


class Draft:
    """A file that is being written. Leaving the block without `publish` deletes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.file: io.BufferedRandom = open(path, "x+b", opener=_open)  # noqa: SIM115  (closed at the end of the block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.file.close()
        self._path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes so far."""
        self.file.flush()
        return os.fstat(self.file.fileno()).st_size

    def publish(self, place: Path) -> Finished:
        """Moves the file to `place`, replacing what is there, once it is on the disk."""
        size = self.size
        os.fsync(self.file.fileno())
        self.file.seek(0)
        digest = hashlib.file_digest(self.file, "sha256").hexdigest()
        self._path.replace(place)
        _sync_folder(place.parent)
        return Finished(place, size, digest)


class Drafts:
    """The unfinished files of one job."""

    def __init__(self, job_id: str) -> None:
        self._tag = hashlib.sha256(job_id.encode()).hexdigest()[:16]  # any id makes a file's name

    @property
    def tag(self) -> str:
        """Eight digits for the names of finished files, the same for every start of the job."""
        return self._tag[:8]

    def new(self, folder: Path) -> Draft:
        """An empty draft for a file in `folder`."""
        return Draft(folder / f".{self._tag}-{secrets.token_hex(4)}{ENDING}")

    def clear(self, folder: Path) -> None:
        """Deletes what starts of this job that were killed have left in `folder`."""
        for path in folder.glob(f".{self._tag}-*{ENDING}"):
            path.unlink(missing_ok=True)

    @contextmanager
    def cleared(self, folder: Path) -> Iterator[None]:
        """Nothing unfinished is in `folder` before, nor after, whatever ends the block."""
        self.clear(folder)
        try:
            yield
        finally:
            self.clear(folder)


def is_draft(name: str) -> bool:
    """Whether a file of that name is unfinished."""
    return name.startswith(".") and name.endswith(ENDING)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, _MODE)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
