"""What a scan means for a job: infected files are not worked on, and may be moved out of the way."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from qcollector.jobs.v1.file_pb2 import FileScan

from base.resources import provides
from base.settings import Settings
from base.storage import StorageRoots
from families.files import places
from families.files.clamd import Clamd
from families.files.drafts import Drafts
from families.files.settings import FileSettings
from families.files.sources import open_source
from workers.outcomes import FailForGood

QUARANTINE: Final = "quarantine"
"""The folder under UPLOAD_DIR for infected files."""

_PROGRAMS: Final = frozenset({".exe", ".bat", ".cmd", ".scr", ".pif"})
"""Endings of names that no harmless upload has."""
_CLOSED: Final = 0o400
_NAME: Final = 200
"""Characters of a file's name that its name in quarantine keeps."""


class InfectedError(FailForGood):
    """A file with malware is not worked on."""


class Scanner:
    """The scanner of one worker process; none where CLAMAV_HOST is not set."""

    def __init__(self, settings: Settings) -> None:
        self._clamd: Clamd | None = None
        own = FileSettings.of(settings)
        if own.clamav_host:
            self._clamd = Clamd(own.clamav_host, own.clamav_port, own.clamav_max_bytes)

    @property
    def present(self) -> bool:
        return self._clamd is not None

    async def scan(self, path: Path) -> FileScan:
        """What clamd says of the file.

        Raises:
          FailForGood: there is no scanner, or it did not scan the file whole.
          ScannerAwayError: the scanner cannot be reached.
        """
        if self._clamd is None:
            raise FailForGood("not scanned: there is no scanner; set CLAMAV_HOST (and CLAMAV_PORT) to a clamd")
        began = time.monotonic()
        with open_source(path) as file:
            size = os.fstat(file.fileno()).st_size
            verdict = await self._clamd.scan(file, size)
        return FileScan(
            infected=bool(verdict.threats),
            threats=verdict.threats,
            scan_time_ms=(time.monotonic() - began) * 1000,
            file_size=size,
            suspicious=path.suffix.lower() in _PROGRAMS,
            engine="clamav",
            version=verdict.version,
            scanned=True,
        )

    async def admit(self, path: Path) -> FileScan | None:
        """Scans a file before it is worked on, where there is a scanner.

        Raises:
          InfectedError: it has malware.
        """
        if not self.present:
            return None
        scan = await self.scan(path)
        if scan.infected:
            raise InfectedError(f"{path.name}: is infected ({', '.join(scan.threats)}); nothing was made of it")
        return scan


def quarantine_place(path: Path, roots: StorageRoots) -> Path:
    """Where an infected file is to go: a name in UPLOAD_DIR/quarantine that no file has."""
    folder = places.folder(roots, str(roots.roots["upload"] / QUARANTINE))
    name = path.name
    while len(os.fsencode(name)) > _NAME:
        name = name[1:]
    return folder / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}_{name}"


def quarantine(path: Path, place: Path, drafts: Drafts) -> None:
    """Moves the file to its place in quarantine, where its owner alone may read it."""
    try:
        path.replace(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with open_source(path) as file, drafts.new(place.parent) as draft:
            shutil.copyfileobj(file, draft.file)
            draft.publish(place)
        path.unlink()
    place.chmod(_CLOSED)


@provides(Scanner)
async def scanner(settings: Settings, store: Any) -> AsyncIterator[Scanner]:  # noqa: ARG001  (a resource's signature)
    """The worker's scanner."""
    yield Scanner(settings)
