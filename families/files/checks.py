"""The file of an archive, and what is checked before it is downloaded: it shows what is in the files that were packed."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final

import anyio
from google.protobuf.message import Message
from qcollector.jobs.v1.file_pb2 import FileCompress, FileCompressResult

from base.storage import RootName, StoragePathError, StorageRoots
from contract.checks import CheckContext, StoredFile, TypeChecks
from contract.errors import FieldProblem

ZIP: Final = "application/zip"
_ADMINS: Final = frozenset({"admin", "super_admin"})
_SECRET: Final[frozenset[RootName]] = frozenset({"backup", "log"})
"""Roots whose files hold what administrators alone may see: dumps of the database, and logs of every caller."""


async def _check_packed(payload: FileCompress, context: CheckContext) -> Sequence[FieldProblem]:
    if context.caller.role in _ADMINS:
        return ()
    return await anyio.to_thread.run_sync(_secret_files, payload.input_files, StorageRoots(context.settings))


def _secret_files(paths: Sequence[str], roots: StorageRoots) -> Sequence[FieldProblem]:
    problems = []
    for place, path in enumerate(paths):
        try:
            if roots.of(roots.resolve(path)) in _SECRET:
                problems.append(FieldProblem(f"inputFiles[{place}]", "secret_file", "is for administrators alone"))
        except StoragePathError as error:
            problems.append(FieldProblem(f"inputFiles[{place}]", "storage_path", str(error)))
    return problems


def _archive(result: FileCompressResult) -> StoredFile:
    """Archives go where their callers want them, within the storage roots."""
    name = result.file_name or PurePath(result.archive_path).name
    return StoredFile(result.archive_path, result.archive_size, name, result.content_type or ZIP, result.sha256)


PAYLOAD_CHECKS: Final[Mapping[type[Message], TypeChecks]] = {
    FileCompress: TypeChecks(at_download=_check_packed, file=_archive)
}
