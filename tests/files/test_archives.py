"""What compress packs, unpacked again."""

import hashlib
import os
import re
import time
import zipfile
import zlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path, PurePath

import pytest
from qcollector.jobs.v1.file_pb2 import FileCompress, FileCompressResult

from base.storage import StorageRoots
from families.files import handlers as file
from families.files.archive import distinct
from families.files.sources import FileRefusedError
from tests.files.conftest import drafts_in
from tests.mail.recording import RecordingJob

Compress = Callable[..., Awaitable[FileCompressResult]]


@pytest.fixture
def compress(job: RecordingJob, roots: StorageRoots) -> Compress:
    async def run(paths: Sequence[Path], **fields: object) -> FileCompressResult:
        return await file.compress(FileCompress(input_files=map(str, paths), **fields), job, roots)

    return run


async def test_files_come_out_as_they_went_in(
    compress: Compress, uploads: Path, job: RecordingJob, roots: StorageRoots
) -> None:
    text, paper = uploads / "notes.txt", uploads / "รูป.pdf"
    text.write_bytes(b"hello\n" * 500_000)
    paper.write_bytes(os.urandom(2_500_000))
    os.utime(text, (1_700_000_000, 1_700_000_000))
    result = await compress([text, paper])
    archive = Path(result.archive_path)
    assert archive.parent == roots.roots["export"] / "archives"
    assert re.fullmatch(r"archive_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z_[0-9a-f]{8}\.zip", archive.name)
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert {entry.filename: opened.read(entry) for entry in opened.infolist()} == {
            path.name: path.read_bytes() for path in (text, paper)
        }
        assert opened.getinfo("notes.txt").date_time[:3] == (2023, 11, 14)
    content = archive.read_bytes()
    assert (result.archive_size, result.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (result.success, result.files_compressed, result.total_files) == (True, 2, 2)
    assert result.expire_time.ToSeconds() - time.time() == pytest.approx(7 * 24 * 3600, abs=60)
    assert result.archive_size < 3_000_000
    assert job.percents == sorted(job.percents)
    assert len(set(job.percents)) > 4
    assert drafts_in(archive.parent) == []


async def test_equal_names_are_kept_apart(compress: Compress, uploads: Path) -> None:
    paths = []
    for folder in ("a", "b", "c"):
        (uploads / folder).mkdir()
        paths.append(uploads / folder / ("Report.TXT" if folder == "c" else "report.txt"))
        paths[-1].write_text(folder)
    result = await compress(paths)
    with zipfile.ZipFile(result.archive_path) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == {
            "report.txt": b"a",
            "report (1).txt": b"b",
            "Report (2).TXT": b"c",
        }


def test_a_name_that_was_made_distinct_is_itself_kept_apart() -> None:
    names = ["a.txt", "a.txt", "a (1).txt", ".profile", ".profile", "x.tar.gz", "x.tar.gz"]
    assert distinct(map(PurePath, names)) == [
        *("a.txt", "a (1).txt", "a (1) (1).txt", ".profile", ".profile (1)", "x.tar.gz", "x.tar (1).gz"),
    ]


def test_names_are_unpacked_into_one_folder_on_any_system_and_read_as_they_end() -> None:
    names = ["..\\..\\evil.txt", "C:\\x.txt", "d:x", "10:30.txt", "a\nb.txt", "annexe\u202efdp.exe", ".._.._evil.txt"]
    names += ["\u202e..", ".\u2066", "\u202e"]
    assert distinct(map(PurePath, names)) == [
        *(".._.._evil.txt", "C__x.txt", "d_x", "10:30.txt", "a_b.txt", "annexefdp.exe", ".._.._evil (1).txt"),
        *("_", "_ (1)", "_ (2)"),
    ]


@pytest.mark.parametrize(
    ("level", "method"), [(0, zipfile.ZIP_STORED), (1, zipfile.ZIP_DEFLATED), (9, zipfile.ZIP_DEFLATED)]
)
async def test_levels_run_from_stored_to_smallest(
    compress: Compress, uploads: Path, roots: StorageRoots, level: int, method: int
) -> None:
    path = uploads / "words.txt"
    path.write_text(" ".join(str(number * number) for number in range(60_000)))
    result = await compress([path], compression_level=level, output_dir=str(uploads / "packed"))
    assert Path(result.archive_path).parent == uploads / "packed"
    assert not result.HasField("expire_time")
    with zipfile.ZipFile(result.archive_path) as opened:
        (entry,) = opened.infolist()
        assert entry.compress_type == method
        assert opened.read(entry) == path.read_bytes()
        packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = len(packer.compress(path.read_bytes()) + packer.flush()) if level else path.stat().st_size
        assert entry.compress_size == packed


async def test_a_restart_replaces_the_archive_that_it_had_finished(
    compress: Compress, uploads: Path, job: RecordingJob, roots: StorageRoots
) -> None:
    path = uploads / "a.txt"
    path.write_text("a")
    first = await compress([path])
    payload = FileCompress(input_files=[str(path)])
    again = await file.compress(payload, job.restarted(), roots)
    assert again.archive_path == first.archive_path
    assert len(list(Path(first.archive_path).parent.iterdir())) == 1


async def test_files_that_cannot_be_packed_leave_no_archive(
    compress: Compress, uploads: Path, roots: StorageRoots
) -> None:
    good = uploads / "good.txt"
    good.write_text("good")
    (uploads / "folder").mkdir()
    outside = roots.roots["upload"].parent.parent / "secret.txt"
    outside.write_text("secret")
    (uploads / "link.txt").symlink_to(outside)
    for bad, why in [
        (uploads / "gone.txt", "No such file"),
        (uploads / "folder", "is a folder"),
        (uploads / "link.txt", "outside the storage roots"),
        (uploads / "../../secret.txt", "outside the storage roots"),
    ]:
        with pytest.raises(FileRefusedError, match=why):
            await compress([good, bad], output_dir=str(uploads / "packed"))
    assert not list(uploads.rglob("*.zip"))
