"""What is checked before an archive is downloaded: it shows its reader what is in the files that were packed."""

from collections.abc import Mapping, Sequence
from typing import Final

import anyio
from google.protobuf.message import Message
from qcollector.jobs.v1.file_pb2 import FileCompress

from base.storage import RootName, StoragePathError, StorageRoots
from contract.errors import FieldProblem
from service.payload_checks import Scene, TypeChecks

_ADMINS: Final = frozenset({"admin", "super_admin"})
_SECRET: Final[frozenset[RootName]] = frozenset({"backup", "log"})
"""Roots whose files hold what administrators alone may see: dumps of the database, and logs of every caller."""


async def _check_packed(payload: FileCompress, scene: Scene) -> Sequence[FieldProblem]:
    if scene.caller.role in _ADMINS:
        return ()
    return await anyio.to_thread.run_sync(_secret_files, payload.input_files, StorageRoots(scene.settings))


def _secret_files(paths: Sequence[str], roots: StorageRoots) -> Sequence[FieldProblem]:
    problems = []
    for place, path in enumerate(paths):
        try:
            if roots.of(roots.resolve(path)) in _SECRET:
                problems.append(FieldProblem(f"inputFiles[{place}]", "secret_file", "is for administrators alone"))
        except StoragePathError as error:
            problems.append(FieldProblem(f"inputFiles[{place}]", "storage_path", str(error)))
    return problems


FILE_CHECKS: Final[Mapping[type[Message], TypeChecks]] = {FileCompress: TypeChecks(at_download=_check_packed)}
