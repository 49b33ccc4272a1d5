"""Names for what jobs make: taken before a file gets one, so that outputs of different makers never replace one another.

A maker is what a job makes of one source for one caller. Its later outputs replace its earlier ones; a file of anybody else
keeps its name, and the newcomer's gets the maker's tag: "photo.webp", then "photo-1a2b3c4d.webp", the same whenever it is made
again.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from base.produced import FOLDER_MODE, Entry, Print, Record, encoded, sync_folder

_MOST: Final = 100
"""Names that are tried; the second is all but certainly free."""
_LONGEST: Final = 255
"""Bytes of a file's name."""


class NamesTakenError(Exception):
    """Other files have all the names that were tried."""


class _TakenError(Exception):
    """Another maker's file, or one that no job made, has the name."""


@dataclass(frozen=True, slots=True)
class Maker:
    """To whom outputs belong."""

    digest: str
    job: str
    """The queue and id of the job."""

    @property
    def tag(self) -> str:
        return self.digest[:8]


def maker(queue: str, job_id: str, *source: str) -> Maker:
    """The maker that these words stand for; without any, the job alone."""
    job = f"{queue}/{job_id}"
    words = "\0".join(source or (job,))
    return Maker(hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:32], job)


def tagged(name: str, suffix: str) -> str:
    """The name with a suffix before its ending, cut where it would become too long for a file's name."""
    stem, ending = PurePath(name).stem, PurePath(name).suffix
    while suffix and len(os.fsencode(f"{stem}{suffix}{ending}")) > _LONGEST and len(stem) > 1:
        stem = stem[:-1]
    return f"{stem}{suffix}{ending}"


class Names:
    """The names that one maker has taken in a folder."""

    def __init__(self, folder: Path, suffix: str, names: Mapping[str, str], own: frozenset[str]) -> None:
        self.folder = folder
        self.suffix = suffix
        """What was added to the names that were asked for; usually empty."""
        self.places = {output: folder / name for output, name in names.items()}
        """By output."""
        self._own = own

    def put(self, output: str, draft: Path) -> Path:
        """Moves a finished file to its name, in one step.

        Raises:
          FileExistsError: somebody put a file there just now.
        """
        place = self.places[output]
        if place.name in self._own:
            draft.replace(place)
        else:
            try:
                os.link(draft, place)
            except FileExistsError:
                raise FileExistsError(f"{place}: another file was put there just now") from None
            draft.unlink()
        return place


@contextmanager
def taken(
    record: Record, folder: Path, prints: Mapping[str, Print], name: Callable[[str, str], str], by: Maker
) -> Iterator[Names]:
    """Takes a name for each output, which the block then `put`s there. `name(output, suffix)` makes a name.

    Jobs of one maker take names one after another.

    Raises:
      NamesTakenError: other files have all the names that were tried.
      OSError: the record cannot be written.
    """
    with record.alone(by.digest):
        yield from _taken(record, folder, prints, name, by)


def _taken(
    record: Record, folder: Path, prints: Mapping[str, Print], name: Callable[[str, str], str], by: Maker
) -> Iterator[Names]:
    names: dict[str, str] = {}
    for suffix in _suffixes(record, folder, [name(output, f"-{by.tag}") for output in prints], by):
        names = {output: name(output, suffix) for output in prints}
        try:
            draft, own = _take(record, folder, {names[output]: each for output, each in prints.items()}, by)
        except _TakenError:
            continue
        break
    else:
        raise NamesTakenError(
            f"{folder}: {_MOST} names like {next(iter(names.values()))} are taken; clean the folder up"
        )
    try:
        yield Names(folder, suffix, names, own)
        sync_folder(folder)
        for each in names.values():
            with suppress(FileExistsError):  # a sweep may have dropped what looked abandoned
                _link(draft, record.bucket(folder), each)
    finally:
        draft.unlink(missing_ok=True)


def _suffixes(record: Record, folder: Path, names: list[str], by: Maker) -> Iterator[str]:
    """What to try, in order. The tag first if an earlier start of this job took it, though the plain names may be free now."""
    entries = (record.entry(folder / each) for each in names)
    if any(entry is not None and (entry.maker, entry.job) == (by.digest, by.job) for entry in entries):
        yield f"-{by.tag}"
    yield ""
    yield f"-{by.tag}"
    yield from (f"-{by.tag}-{number}" for number in range(2, _MOST))


def _take(record: Record, folder: Path, prints: Mapping[str, Print], by: Maker) -> tuple[Path, frozenset[str]]:
    """Makes the entries. Returns the file that they are links to, and the names that were this maker's already."""
    earlier = {each: _earlier(record, folder / each, by) for each in prints}
    own = frozenset(each for each, (_, found) in earlier.items() if found)
    entry = Entry(
        os.fsencode(folder.relative_to(record.root)),
        by.digest,
        by.job,
        {os.fsencode(each): (new, *earlier[each][1]) for each, new in prints.items()},
    )
    draft = record.draft(encoded(entry))
    bucket = record.bucket(folder)
    made: list[str] = []
    try:
        for each in sorted(prints):
            if earlier[each][0]:
                _replace(record, draft, bucket / each)
            else:
                _link(draft, bucket, each)
                made.append(each)
        sync_folder(bucket)
        sync_folder(record.made)
    except BaseException as error:
        for each in made:
            record.forget(folder / each)
        draft.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise _TakenError from None
        raise
    return draft, own


def _earlier(record: Record, place: Path, by: Maker) -> tuple[bool, tuple[Print, ...]]:
    """Returns whether this maker has the name already, and the content of its file there; none if there is no file.

    Raises:
      _TakenError: the name is somebody else's.
    """
    path = record.entry_path(place)
    recorded = os.path.lexists(path) and not record.drop_abandoned(path, place)
    entry = record.entry(place) if recorded else None
    if recorded and (entry is None or entry.maker != by.digest):
        raise _TakenError
    if not os.path.lexists(place):
        return entry is not None, ()
    for each in entry.prints.get(os.fsencode(place.name), ()) if entry else ():
        if _has(place, each):
            return True, (each,)
    raise _TakenError


def _has(place: Path, content: Print) -> bool:
    status = place.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size != content.size:
        return False
    if status.st_mtime_ns == content.modified:
        return True
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == content.sha256


def _link(draft: Path, bucket: Path, name: str) -> None:
    bucket.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    try:
        os.link(draft, bucket / name)
    except FileNotFoundError:  # a sweep has removed the empty folder
        bucket.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        os.link(draft, bucket / name)


def _replace(record: Record, draft: Path, entry: Path) -> None:
    twin = record.own / f"{draft.name}-{hashlib.sha256(os.fsencode(entry.name)).hexdigest()[:16]}"
    os.link(draft, twin)
    twin.replace(entry)
