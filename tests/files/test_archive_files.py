"""An archive is downloaded as an export is: while it is the one that the job made, by whoever may see what is in it."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from google.protobuf.message import Message
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportMetadata
from qcollector.jobs.v1.file_pb2 import FileCompress, FileCompressResult
from qcollector.jobs.v1.job_pb2 import Caller

from base.settings import Settings
from base.storage import StorageRoots
from contract.checks import CheckContext, StoredFile, payload_checks
from families.database.connection import open_database
from families.files import handlers as file
from families.files.checks import PAYLOAD_CHECKS as FILE_CHECKS
from service.downloads import FileGoneError, opened
from tests.mail.recording import RecordingJob


def stored_file(payload: type[Message], result: Message) -> StoredFile | None:
    told = payload_checks(())[payload].file
    assert told is not None
    return told(result)


@pytest.fixture
def roots(settings: Settings) -> StorageRoots:
    prepared = StorageRoots(settings)
    prepared.prepare()
    return prepared


@pytest.mark.parametrize("folder", ["", "uploads/archives2"])
async def test_an_archive_comes_whole_by_its_name_and_type(
    roots: StorageRoots, settings: Settings, folder: str
) -> None:
    source = roots.roots["upload"] / "a.txt"
    source.write_text("content")
    payload = FileCompress(input_files=[str(source)], output_dir=folder)
    result = await file.compress(payload, RecordingJob(settings, queue="file:process"), roots)
    stored = stored_file(FileCompress, FileCompressResult.FromString(result.SerializeToString()))
    assert stored is not None
    async with opened(stored, roots) as body:
        parts = [part async for part in body.bodies()]
    assert body.name == Path(result.archive_path).name == result.file_name
    assert parts[0].content_type == "application/zip"
    assert b"".join(part.data for part in parts) == Path(result.archive_path).read_bytes()
    assert result.HasField("expire_time") is not bool(folder)


@pytest.mark.parametrize("recorded", [True, False])
async def test_another_file_of_the_same_size_is_not_taken_for_the_one_that_was_made(
    roots: StorageRoots, settings: Settings, recorded: bool
) -> None:
    source = roots.roots["upload"] / "a.txt"
    source.write_text("content")
    result = await file.compress(
        FileCompress(input_files=[str(source)]), RecordingJob(settings, queue="file:process"), roots
    )
    stored, place = stored_file(FileCompress, result), Path(result.archive_path)
    assert stored is not None
    if not recorded:
        roots.record(place).forget(place)
    content = place.read_bytes()
    for there, is_it in ((content, True), (bytes(reversed(content)), False)):
        place.write_bytes(there)
        with nullcontext() if is_it else pytest.raises(FileGoneError):
            async with opened(stored, roots) as body:
                assert b"".join([part.data async for part in body.bodies()]) == content


@pytest.mark.parametrize(("role", "refused"), [("service", 2), ("admin", 0)])
async def test_files_of_backups_and_logs_are_for_administrators(
    roots: StorageRoots, settings: Settings, role: str, refused: int
) -> None:
    check = FILE_CHECKS[FileCompress].at_download
    assert check is not None
    paths = [str(roots.roots[name] / "x") for name in ("upload", "backup", "log", "export")]
    context = CheckContext(Caller(id="a", role=role), open_database(settings), settings)
    assert len(await check(FileCompress(input_files=paths), context)) == refused


def test_a_result_without_a_file_names_none() -> None:
    assert stored_file(ExportCsv, ExportMetadata()) is None
