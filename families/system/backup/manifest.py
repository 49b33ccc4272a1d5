"""What a backup consists of, as a file beside it says: `manifest.json`."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

NAME: Final = "manifest.json"
FORMAT: Final = "qjobs-backup/1"
_MAX_BYTES: Final = 1_000_000

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
TargetName = Annotated[str, msgspec.Meta(pattern="^[a-z]+(-[0-9]+)?$")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$")]


class ManifestError(Exception):
    """A manifest, or what it lists, is not what it should be; the message says what is wrong."""


class BackedUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup: zstd over a tar archive or a dump of pg_dump's custom format, and age over all if encrypted."""

    target: TargetName
    """database, uploads, logs or files; with a number if there are several."""
    name: FileName
    content: Literal["dump", "tar"]
    source: str
    """What it was made from."""
    created: str
    """ISO 8601, in UTC."""
    size: int
    """Bytes on disk."""
    sha256: Digest
    """Of the file as it is on disk."""
    content_size: int
    """Bytes of the archive or dump before compression."""
    content_sha256: Digest
    files: int
    """Files in an archive."""
    encrypted: bool


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A backup."""

    format: Literal["qjobs-backup/1"]
    type: str
    """The occasion's word."""
    created: str
    """ISO 8601, in UTC."""
    job: str
    """The job that made it."""
    release: str
    files: tuple[BackedUp, ...]
    failed: dict[str, str] = {}
    """What should be in it and is not: why, by target."""


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest.

    Raises:
      ManifestError: it cannot be read, or is none of this service's.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ManifestError(f"{path} is no manifest of a backup: it is too large")
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise ManifestError(f"{path} is no manifest of a backup: {error}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest into the backup's folder, and sees that it is on the disk."""
    with (folder / NAME).open("xb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def check_files(folder: Path, files: Iterable[BackedUp]) -> None:
    """Compares each file with its size and checksum.

    Raises:
      ManifestError: one is missing, or is not what was written.
    """
    for entry in files:
        path = folder / entry.name
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size != entry.size:
                    raise ManifestError(f"{path} has not the size that the manifest says: it is damaged")
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ManifestError(f"{path} cannot be read: {error.strerror}") from None
        if digest != entry.sha256:
            raise ManifestError(f"{path} has not the checksum that the manifest says: it is damaged")
