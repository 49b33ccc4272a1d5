"""The folders that jobs may read and write: nothing outside of them is ever touched on a caller's word."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Final, Literal, get_args

from base.produced import FILE_MODE, FOLDER_MODE, OWN_FOLDER, Record
from base.settings import Settings, SettingsError

RootName = Literal["upload", "temp", "export", "backup", "log"]
ROOTS: Final[tuple[RootName, ...]] = get_args(RootName)
VARIABLES: Final = ", ".join(f"{name.upper()}_DIR" for name in ROOTS)
MARKER: Final = ".qjobs-storage"
"""A file in each root with a random id: hosts that see different ids do not share their storage."""

EXPORTS_OWN_FOLDER: Final = ".exports"
"""Below EXPORT_DIR: exports in the making, and what is known of those that were made."""

LEAST_SHARE: Final = 0.05
LEAST_FREE: Final = 256_000_000
ENOUGH_FREE: Final = 5_000_000_000
"""A disk is nearly full with less than this share of it left; at most with ENOUGH_FREE, at least with LEAST_FREE bytes."""

_MEGABYTE: Final = 1_000_000
_MAX_PATH_BYTES: Final = 4096


class StoragePathError(Exception):
    """A path that a job may not touch; the message says why, for the caller."""


class StorageRoots:
    """The five storage roots of a process."""

    def __init__(self, settings: Settings) -> None:
        self.roots: dict[RootName, Path] = {name: settings.root(name) for name in ROOTS}
        self._base = settings.data_dir.resolve()

    def prepare(self) -> None:
        """Creates the folders that are missing, readable for this user and group alone, and marks each once.

        Raises:
          SettingsError: names the variables whose folders cannot be created or written.
        """
        problems = []
        for name, root in self.roots.items():
            try:
                root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
                Record(root).begin(fresh=_is_new(root))
                _mark(root)
            except OSError as error:
                problems.append(f"{_variable(name)}={root}: {error.strerror or error}")
        if problems:
            raise SettingsError(
                "These folders cannot be used; correct the variables, or give this user the right to write there:\n  "
                + "\n  ".join(problems)
            )

    def resolve(self, path: str) -> Path:
        """The absolute place of `path`, with every symbolic link followed, also where its end does not exist yet.

        A relative path begins at DATA_DIR. What is on disk may change until the path is used, so a job resolves again
        when it runs.

        Raises:
          StoragePathError: the place lies outside the storage roots, or the path cannot name a file.
        """
        if not path or "\0" in path:
            raise StoragePathError("the path is empty or holds a NUL character; name a file within the storage roots")
        try:
            if len(os.fsencode(path)) > _MAX_PATH_BYTES:
                raise StoragePathError(f"the path is longer than {_MAX_PATH_BYTES} bytes; use a shorter one")
            place = _followed(self._base / path)
        except (OSError, RuntimeError, ValueError):
            raise StoragePathError("the path cannot be followed; check its letters and its symbolic links") from None
        if place.name == MARKER:
            raise StoragePathError("the path is that of the service's own marker; name another file")
        if not any(place.is_relative_to(root) for root in self.roots.values()):
            raise StoragePathError(
                "the path lies outside the storage roots once its symbolic links are followed; name a file within "
                f"{VARIABLES} (a relative path begins at DATA_DIR)"
            )
        for folder in (*(root / OWN_FOLDER for root in self.roots.values()), self.roots["export"] / EXPORTS_OWN_FOLDER):
            if place.is_relative_to(folder):
                raise StoragePathError(f"the folder {folder.name} is the service's own; name another one")
        return place

    def of(self, place: Path) -> RootName:
        """The root that a resolved place lies in; of several, one in another, the innermost."""
        return max(
            (name for name, root in self.roots.items() if place.is_relative_to(root)),
            key=lambda name: len(self.roots[name].parts),
        )

    def record(self, place: Path) -> Record:
        """The record of what jobs made, of the root that a resolved place lies in."""
        return Record(self.roots[self.of(place)])

    def label(self, place: Path) -> str:
        """A resolved place by its root, the same on every host that shares the storage."""
        name = self.of(place)
        return f"{name}:{place.relative_to(self.roots[name])}"

    def check(self) -> list[str]:
        """What is wrong with the folders now, one line for each, by the variable's name."""
        problems = []
        for name, root in self.roots.items():
            if not root.is_dir():
                problems.append(f"{_variable(name)} is missing or is not a folder")
            elif not os.access(root, os.R_OK | os.W_OK | os.X_OK):
                problems.append(f"{_variable(name)} cannot be read and written by this process")
            elif not _read_marker(root):
                problems.append(f"{_variable(name)} has lost its marker file {MARKER}; is its volume mounted?")
        return problems

    def full(self) -> list[str]:
        """Which folders' disks are nearly full, one line for each disk."""
        problems: dict[int, str] = {}
        for variable, folder in {
            "DATA_DIR": self._base,
            **{_variable(n): root for n, root in self.roots.items()},
        }.items():
            try:
                disk, usage = folder.stat().st_dev, shutil.disk_usage(folder)
            except OSError:
                continue  # what is missing is told by `check`
            if usage.free < _least_free(usage.total):
                problems.setdefault(
                    disk,
                    f"the disk of {variable} has {usage.free / _MEGABYTE:,.0f} MB left: make room, or use a larger one",
                )
        return list(problems.values())

    def marker_ids(self) -> dict[RootName, str]:
        """The id in each root's marker, empty where there is none: equal on every host that shares the storage."""
        return {name: _read_marker(root) for name, root in self.roots.items()}

    def marks(self) -> dict[str, str]:
        """The same by each root's variable."""
        return {_variable(name): mark for name, mark in self.marker_ids().items()}


def _followed(path: Path) -> Path:
    """The path without symbolic links. Raises RuntimeError where they loop, which `resolve` alone does up to Python 3.12."""
    place = path.resolve()
    if any(step.is_symlink() for step in (place, *place.parents)):
        raise RuntimeError("its symbolic links loop")
    return place


def _least_free(total: int) -> float:
    """Bytes below which a disk counts as full."""
    return max(LEAST_FREE, min(total * LEAST_SHARE, ENOUGH_FREE))


def _variable(name: RootName) -> str:
    return f"{name.upper()}_DIR"


def _is_new(root: Path) -> bool:
    """Whether nothing but what this very preparation makes is in the folder."""
    names = {entry.name for entry in os.scandir(root)}
    return not [name for name in names if name != OWN_FOLDER and not name.startswith(f"{MARKER}.")]


def _mark(root: Path) -> None:
    """Writes the marker if there is none. Of processes that start at once one wins, and no one reads half a marker."""
    marker = root / MARKER
    if marker.exists():
        return
    draft = root / f"{MARKER}.{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_hex(16)}\n")
        os.link(draft, marker)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _read_marker(root: Path) -> str:
    try:
        return (root / MARKER).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
