"""What jobs have made, recorded on the storage root that holds it: so that no cleanup takes it for litter.

`<root>/.qjobs/record` says since when there is a record. The entry of a file is `.qjobs/made/<digest of its folder>/<its name>`
and durable before the file gets its name. Whatever is asked of a file touches its own entry alone, however many there are.
Entries of one job's files in a folder are links to one small file. Light, as the processes that work for a job import it.
"""

import fcntl
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

OWN_FOLDER: Final = ".qjobs"
"""The folder in each storage root that holds its record."""
ABANDONED_SECONDS: Final = 3600.0
"""An entry is as old as this before it counts as abandoned for want of its file, which follows at once if all goes well."""
GRACE_SECONDS: Final = 24 * 3600.0
"""How long processes of a release without a record may go on beside one with it, making files that are in no record."""
FOLDER_MODE: Final = 0o750
FILE_MODE: Final = 0o640
"""What the service makes, its own user may write and its group may read."""

_ASIDE: Final = "aside-"
_LOCK_SECONDS: Final = 10.0
"""A process that holds a lock for longer is frozen. Going on without the lock costs a further name at worst."""
_LOCK_AGAIN_SECONDS: Final = 0.01


class Origin(Enum):
    """What the record tells of a file."""

    MADE = "made"
    """A job made it."""
    OTHER = "other"
    """No job made it, as far as the record goes back."""
    UNKNOWN = "unknown"
    """The record is missing or cannot be read."""


class Print(NamedTuple):
    """What tells one content of a file from another."""

    size: int
    modified: int
    """Nanoseconds."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What is recorded of the files that one job made in a folder."""

    folder: bytes
    """Below the root."""
    maker: str
    """Whose outputs they are: its later ones may replace them."""
    job: str
    """The queue and id of the job."""
    prints: Mapping[bytes, tuple[Print, ...]]
    """By name: the newest content, and the one before it, which is there until the newest is in its place."""


class Record:
    """The record of one storage root. All calls block; any number of processes and hosts may make them at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.own = root / OWN_FOLDER
        self.made = self.own / "made"

    def begin(self, *, fresh: bool) -> None:
        """Begins the record if there is none. `fresh` says that the root was empty: then nothing in it is older.

        Raises:
          OSError: it cannot be written.
        """
        if not (self.own / "record").exists():
            self._write_head(0.0 if fresh else time.time() + GRACE_SECONDS)

    def renew(self) -> None:
        """Lets the record begin now: what is put into the root from elsewhere counts as older than it."""
        self._write_head(time.time() + 1)

    def since(self) -> float | None:
        """The Unix time at which the record begins, 0 if the root was empty then; None if it is missing or unreadable."""
        try:
            for folder in (self.own, self.made):
                if not stat.S_ISDIR(folder.lstat().st_mode):
                    return None
            since = json.loads((self.own / "record").read_bytes())["since"]
            os.scandir(self.made).close()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return float(since) if isinstance(since, int | float) else None

    def origin(self, place: Path) -> Origin:
        """Whether a job made the file, as its entry says; a missing record is the business of `since`."""
        try:
            self.entry_path(place).lstat()
        except FileNotFoundError:
            return Origin.OTHER
        except OSError:
            return Origin.UNKNOWN
        return Origin.MADE

    def entry(self, place: Path) -> Entry | None:
        """The entry of a file; None if there is none, or it cannot be read."""
        try:
            return _decoded(self.entry_path(place).read_bytes())
        except OSError:
            return None

    def entry_path(self, place: Path) -> Path:
        return self.bucket(place.parent) / place.name

    def bucket(self, folder: Path) -> Path:
        return self.made / _digest(os.fsencode(folder.relative_to(self.root)))

    def forget(self, place: Path) -> None:
        """Drops the entry of a file that its owner has removed."""
        with suppress(OSError):
            self.entry_path(place).unlink()

    @contextmanager
    def leaving(self, place: Path) -> Iterator[None]:
        """Within it the owner removes the file. Its entry goes first, and comes back if the file stays."""
        aside = self._set_aside(self.entry_path(place))
        try:
            yield
        except BaseException:
            self._put_back(aside, self.entry_path(place))
            raise
        if aside is not None:
            aside.unlink(missing_ok=True)

    def drop_abandoned(self, entry: Path, place: Path) -> bool:
        """Drops an entry whose file is gone for so long that it will not come any more."""
        if not _is_abandoned(entry, place):
            return False
        aside = self._set_aside(entry)
        if aside is None:
            return False
        if not _is_abandoned(aside, place):  # it was made anew just now
            self._put_back(aside, entry)
            return False
        aside.unlink(missing_ok=True)
        return True

    def sweep(self) -> Iterator[int]:
        """Drops what is abandoned; yields after each entry how many were dropped. A constant part of it is in memory."""
        self._sweep_own()
        for bucket in _entries(self.made):
            folder = self._folder_of(bucket)
            if folder is None or _is_emptied(folder):
                continue
            for entry in _entries(bucket):
                yield int(self.drop_abandoned(entry, folder / entry.name))
            with suppress(OSError):
                bucket.rmdir()  # unless something is in it

    def draft(self, content: bytes) -> Path:
        """A file in the hidden folder with that content, on the disk."""
        self.own.mkdir(mode=FOLDER_MODE, exist_ok=True)
        path = self.own / f"draft-{secrets.token_hex(8)}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        return path

    @contextmanager
    def alone(self, maker: str) -> Iterator[None]:
        """Keeps other jobs of this maker from taking names, on all hosts if the file system locks. Ends with the process."""
        folder = self.own / "locks"
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(folder / maker[:2], os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE)
        try:
            _lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _write_head(self, since: float) -> None:
        self.made.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self.draft(json.dumps({"since": since}).encode()).replace(self.own / "record")
        sync_folder(self.own)

    def _set_aside(self, entry: Path) -> Path | None:
        aside = self.own / f"{_ASIDE}{secrets.token_hex(8)}"
        try:
            entry.rename(aside)
        except OSError:
            return None
        return aside

    def _put_back(self, aside: Path | None, entry: Path) -> None:
        if aside is None:
            return
        with suppress(FileExistsError):
            entry.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
            os.link(aside, entry)
        aside.unlink(missing_ok=True)

    def _folder_of(self, bucket: Path) -> Path | None:
        """The folder that a bucket is of, as its first readable entry says and its own name confirms."""
        for path in _entries(bucket):
            with suppress(OSError):
                entry = _decoded(path.read_bytes())
                if entry is not None and _digest(entry.folder) == bucket.name:
                    return self.root / os.fsdecode(entry.folder)
        return None

    def _sweep_own(self) -> None:
        """What was killed between setting an entry aside and deciding on it has left it here: its files may be there."""
        before = time.time() - GRACE_SECONDS
        for path in _entries(self.own):
            with suppress(OSError):
                if not path.name.startswith(("draft-", _ASIDE)) or path.lstat().st_ctime > before:
                    continue
                entry = _decoded(path.read_bytes()) if path.name.startswith(_ASIDE) else None
                for name in entry.prints if entry else ():
                    place = self.root / os.fsdecode(entry.folder) / os.fsdecode(name)  # type: ignore[union-attr]
                    if os.path.lexists(place) and self.origin(place) is Origin.OTHER:
                        self.entry_path(place).parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
                        os.link(path, self.entry_path(place))
                path.unlink(missing_ok=True)


def encoded(entry: Entry) -> bytes:
    """An entry as it is stored: names are percent-encoded, as they need not be UTF-8."""
    return json.dumps(
        {
            "folder": quote(entry.folder),
            "maker": entry.maker,
            "job": entry.job,
            "files": {quote(name): prints for name, prints in entry.prints.items()},
        }
    ).encode()


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Waits for the lock, up to a limit. It polls, as flock takes no timeout, and blocks: callers have a thread or process."""
    end = time.monotonic() + _LOCK_SECONDS
    while time.monotonic() < end:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_AGAIN_SECONDS)
        except OSError:
            return  # this file system has no locks
        else:
            return


def _decoded(content: bytes) -> Entry | None:
    try:
        told: Any = json.loads(content)
        prints = {unquote_to_bytes(name): tuple(Print(*each) for each in them) for name, them in told["files"].items()}
        return Entry(unquote_to_bytes(told["folder"]), str(told["maker"]), str(told["job"]), prints)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(folder: bytes) -> str:
    return hashlib.sha256(folder).hexdigest()[:32]


def _is_abandoned(entry: Path, place: Path) -> bool:
    try:
        young = entry.lstat().st_mtime > time.time() - ABANDONED_SECONDS
    except OSError:
        return False
    return not young and not os.path.lexists(place)


def _is_emptied(folder: Path) -> bool:
    """Whether the folder is there and holds nothing, as one does whose volume is not mounted."""
    try:
        with os.scandir(folder) as found:
            return next(found, None) is None
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _entries(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            for entry in found:
                yield Path(entry.path)
    except OSError:
        return
