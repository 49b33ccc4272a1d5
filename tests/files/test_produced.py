"""What jobs have made is recorded: cleanup leaves it, and no output takes the place of anybody else's file."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from PIL import Image
from qcollector.jobs.v1.file_pb2 import (
    FileCleanup,
    FileCleanupResult,
    FileCompress,
    FileImageProcess,
    FileImageProcessResult,
)
from qcollector.jobs.v1.job_pb2 import Caller
from sqlalchemy.ext.asyncio import AsyncEngine

from base import produced
from base.output_names import NamesTakenError, maker, tagged, taken
from base.produced import ABANDONED_SECONDS, OWN_FOLDER, Origin, Print, Record
from base.settings import Settings
from base.storage import EXPORTS_OWN_FOLDER, StoragePathError, StorageRoots
from families.database.connection import open_database
from families.files import handlers as file
from families.files.scanning import Scanner
from tests.files.conftest import drawing
from tests.mail.recording import RecordingJob

DAY = 24 * 3600
CONTENT = Print(4, 0, "")
Process = Callable[..., Awaitable[FileImageProcessResult]]


@pytest.fixture
def process(job: RecordingJob, roots: StorageRoots, no_scanner: Scanner) -> Process:
    async def run(path: Path, folder: Path, by: RecordingJob = job, **options: object) -> FileImageProcessResult:
        payload = FileImageProcess(file_path=str(path), output_dir=str(folder))
        ParseDict(options, payload.options)
        return await file.image_process(payload, by, roots, no_scanner)

    return run


def make_old(*paths: Path, days: float = 3) -> None:
    moment = time.time() - days * DAY
    for path in paths:
        os.utime(path, (moment, moment))


def outputs_of(result: FileImageProcessResult) -> list[Path]:
    return [Path(path) for path in result.results.values()]


class TestCleanup:
    @pytest.fixture
    def settings(self, sample_database: Settings) -> Settings:
        return sample_database.model_copy(update={"cleanup_delete": True})

    @pytest.fixture
    async def engine(self, settings: Settings) -> Any:
        opened = open_database(settings)
        yield opened
        await opened.dispose()

    @pytest.fixture
    def cleanup(self, job: RecordingJob, roots: StorageRoots, engine: AsyncEngine) -> Any:
        async def run(*files: Path) -> FileCleanupResult:
            return await file.cleanup(FileCleanup(files=map(str, files), older_than=DAY * 1000), job, roots, engine)

        return run

    @pytest.fixture
    def orphan(self, uploads: Path) -> Path:
        return next(path for path in uploads.rglob("*") if "orphaned" in path.parts and path.is_file())

    async def test_outputs_and_archives_stay_and_orphans_go(
        self, cleanup: Any, process: Process, roots: StorageRoots, job: RecordingJob, uploads: Path, orphan: Path
    ) -> None:
        plain = uploads / "plain.jpg"
        drawing().save(plain, quality=99)
        images = outputs_of(await process(plain, uploads / "processed"))
        payload = FileCompress(input_files=[str(plain)], output_dir=str(uploads / "archives2"))
        archive = Path((await file.compress(payload, replace(job, job_id="other"), roots)).archive_path)
        make_old(*images, archive)
        result = await cleanup()
        assert [path for path in (*images, archive) if not path.exists()] == []
        assert not orphan.exists()
        assert result.produced == len(images) + 1
        assert any(str(orphan) in line for line in job.lines if line.startswith("deleted: "))

    async def test_in_temp_dir_they_stay_too(
        self, cleanup: Any, process: Process, roots: StorageRoots, uploads: Path
    ) -> None:
        plain = uploads / "plain.jpg"
        drawing().save(plain)
        images = outputs_of(await process(plain, roots.roots["temp"] / "deep"))
        litter = roots.roots["temp"] / "litter"
        litter.touch()
        make_old(*images, litter)
        await cleanup()
        assert all(path.exists() for path in images)
        assert not litter.exists()

    async def test_in_temp_dir_all_stays_and_is_told_where_there_is_no_record(
        self, cleanup: Any, roots: StorageRoots
    ) -> None:
        temporary = roots.roots["temp"]
        litter = temporary / "litter"
        litter.touch()
        make_old(litter)
        shutil.rmtree(temporary / OWN_FOLDER)
        result = await cleanup()
        assert (litter.exists(), result.untold) == (True, 1)

    async def test_named_they_go_with_their_entries(
        self, cleanup: Any, process: Process, uploads: Path, roots: StorageRoots
    ) -> None:
        plain = uploads / "plain.jpg"
        drawing().save(plain)
        images = outputs_of(await process(plain, uploads / "processed"))
        make_old(*images)
        result = await cleanup(*images)
        assert (result.deleted, result.produced) == (len(images), 0)
        assert {roots.record(path).origin(path) for path in images} == {Origin.OTHER}
        assert {path.name for path in (uploads / OWN_FOLDER).iterdir()} == {"record", "made", "locks"}

    @pytest.mark.parametrize("harm", ["missing", "torn", "a file", "a link"])
    async def test_without_a_readable_record_orphans_are_only_reported(
        self, cleanup: Any, uploads: Path, orphan: Path, job: RecordingJob, tmp_path: Path, harm: str
    ) -> None:
        own = uploads / OWN_FOLDER
        match harm:
            case "missing":
                shutil.rmtree(own)
            case "torn":
                (own / "record").write_bytes(b'{"sin')
            case "a file":
                shutil.rmtree(own)
                own.touch()
            case _:
                own.rename(tmp_path / "elsewhere")
                own.symlink_to(tmp_path / "elsewhere")
        result = await cleanup()
        assert orphan.exists()
        assert str(orphan) in result.reported
        assert result.reported_total == len(result.reported) > 0
        assert any("may have made" in line for line in job.lines)

    async def test_a_file_older_than_the_record_is_only_reported(
        self, cleanup: Any, roots: StorageRoots, uploads: Path, orphan: Path
    ) -> None:
        shutil.rmtree(uploads / OWN_FOLDER)
        roots.prepare()  # as the first start after an upgrade does
        result = await cleanup()
        assert orphan.exists()
        assert str(orphan) in result.reported
        since = Record(uploads).since()
        assert since is not None
        assert since > time.time() + DAY / 2, "processes of the older release may go on for a while"

    async def test_names_that_are_no_text_do_not_stop_it(
        self, cleanup: Any, uploads: Path, job: RecordingJob, roots: StorageRoots
    ) -> None:
        odd = [uploads / "forms" / os.fsdecode(b"\xff\xfe.jpg"), uploads / "forms" / "a\nb\u202e.jpg"]
        for path in odd:
            path.touch()
        make_old(*odd)
        await cleanup()
        assert not any(path.exists() for path in odd)
        told = "\n".join(job.lines)
        assert "\\xff\\xfe.jpg" in told
        assert "a\\nb\\u202e.jpg" in told


async def test_outputs_of_different_images_do_not_replace_one_another(
    process: Process, uploads: Path, job: RecordingJob
) -> None:
    out = uploads / "out"
    first, second = uploads / "photo.jpg", uploads / "photo.png"
    Image.new("RGB", (700, 700), "red").save(first)
    Image.new("RGB", (700, 700), "blue").save(second)
    one = await process(first, out)
    content = {path: path.read_bytes() for path in outputs_of(one)}
    two = await process(second, out, replace(job, job_id="other"))
    assert one.name == "photo.jpg"
    assert two.name.startswith("photo-")
    assert not set(one.results.values()) & set(two.results.values())
    assert {path: path.read_bytes() for path in content} == content
    again = await process(second, out, replace(job, job_id="third"))
    assert again.results == two.results, "deterministic"
    assert set(out.iterdir()) == {*outputs_of(one), *outputs_of(two)}


async def test_another_caller_has_outputs_of_its_own_and_the_same_caller_replaces_its(
    process: Process, uploads: Path, job: RecordingJob
) -> None:
    plain, out = uploads / "a.jpg", uploads / "out"
    drawing().save(plain)
    first = await process(plain, out, quality=90)
    again = await process(plain, out, replace(job, job_id="later"), quality=10)
    assert again.results == first.results
    other = await process(plain, out, replace(job, job_id="other", caller=Caller(id="b")))
    assert not set(other.results.values()) & set(first.results.values())


async def test_a_further_start_makes_no_second_copy_though_plain_names_are_free_again(
    process: Process, uploads: Path, job: RecordingJob
) -> None:
    plain, out = uploads / "a.jpg", uploads / "out"
    drawing().save(plain)
    out.mkdir()
    (out / "a.webp").write_bytes(b"somebody's")
    first = await process(plain, out)
    (out / "a.webp").unlink()
    assert (await process(plain, out, job.restarted())).results == first.results
    assert set(out.iterdir()) == set(outputs_of(first))


async def test_a_file_that_no_job_made_is_never_replaced(process: Process, uploads: Path) -> None:
    plain, out = uploads / "a.jpg", uploads / "out"
    drawing().save(plain)
    result = await process(plain, out)
    webp = Path(result.results["webp"])
    webp.unlink()
    webp.write_bytes(b"an upload of the same name")
    assert (await process(plain, out)).results["webp"] != str(webp)
    assert webp.read_bytes() == b"an upload of the same name"


def take(record: Record, folder: Path, by: str, name: str = "a.csv", content: bytes = b"text") -> Path:
    draft = folder / f".{by}"
    draft.write_bytes(content)
    content_print = Print(len(content), draft.stat().st_mtime_ns, "")
    with taken(record, folder, {"x": content_print}, lambda _, suffix: tagged(name, suffix), maker("q", by)) as names:
        return names.put("x", draft)


def test_of_many_at_once_each_has_a_name_of_its_own(tmp_path: Path) -> None:
    record, together = Record(tmp_path), Barrier(8)
    record.begin(fresh=True)

    def one(number: int) -> Path:
        together.wait(10)
        return take(record, tmp_path, f"job{number}", content=b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(one, range(8)))
    assert len(set(places)) == 8
    assert [place.read_bytes() for place in places] == [b"%d" % number for number in range(8)]
    assert sorted(path.name for path in record.own.iterdir()) == ["locks", "made", "record"]


@pytest.mark.parametrize("earlier", [[], ["earlier"]])
def test_jobs_of_one_maker_at_the_same_moment_share_the_name_and_the_last_file_stays(
    tmp_path: Path, earlier: list[str]
) -> None:
    record, together, place = Record(tmp_path), Barrier(4), tmp_path / "a.csv"
    record.begin(fresh=True)

    def one(job: str) -> Path:
        draft = tmp_path / f".{job}"
        draft.write_bytes(job.encode())
        content = Print(len(job), draft.stat().st_mtime_ns, hashlib.sha256(job.encode()).hexdigest())
        with taken(
            record, tmp_path, {"x": content}, lambda _, suffix: tagged("a.csv", suffix), maker("q", job, "one")
        ) as names:
            return names.put("x", draft)

    def at_once(job: str) -> Path:
        together.wait(10)
        return one(job)

    for job in earlier:
        one(job)
    for turn in range(10):
        with ThreadPoolExecutor(4) as pool:
            places = list(pool.map(at_once, [f"{turn}-{job}" for job in range(4)]))
        assert set(places) == {place}
        entry = record.entry(place)
        assert entry is not None
        assert hashlib.sha256(place.read_bytes()).hexdigest() in {each.sha256 for each in entry.prints[b"a.csv"]}
        if not earlier:
            place.unlink()
            record.forget(place)
    assert sorted(path.name for path in record.own.iterdir()) == ["locks", "made", "record"]


def test_a_file_that_somebody_else_puts_there_meanwhile_stays(tmp_path: Path) -> None:
    record, draft, place = Record(tmp_path), tmp_path / ".draft", tmp_path / "a.csv"
    record.begin(fresh=True)
    draft.touch()
    with (
        pytest.raises(FileExistsError, match="just now"),
        taken(record, tmp_path, {"x": CONTENT}, lambda _, suffix: tagged("a.csv", suffix), maker("q", "job")) as names,
    ):
        place.write_text("theirs")
        names.put("x", draft)
    assert place.read_text() == "theirs"


KILLED = """
import os, signal, sys
from pathlib import Path
from base.output_names import maker, tagged, taken
from base.produced import Print, Record
root = Path(sys.argv[1])
with taken(Record(root), root, {"x": Print(4, 0, "")}, lambda _, suffix: tagged("a.csv", suffix), maker("q", "job")):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_job_that_is_killed_between_record_and_rename_has_its_name_again(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin(fresh=True)
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], timeout=30, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert record.origin(tmp_path / "a.csv") is Origin.MADE
    assert take(record, tmp_path, "other").name.startswith("a-")
    assert take(record, tmp_path, "job").name == "a.csv"


def test_entries_whose_files_are_gone_go_and_no_others(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin(fresh=True)
    gone, stays, young = (take(record, tmp_path, name, f"{name}.csv") for name in ("gone", "stays", "young"))
    for path in (gone, young):
        path.unlink()
    past = time.time() - ABANDONED_SECONDS - 1
    for path in (gone, stays):
        os.utime(record.entry_path(path), (past, past))
    assert sum(record.sweep()) == 1
    assert [record.origin(path) for path in (gone, stays, young)] == [Origin.OTHER, Origin.MADE, Origin.MADE]


def test_an_emptied_folder_keeps_its_entries_as_its_volume_may_not_be_mounted(tmp_path: Path) -> None:
    record, folder = Record(tmp_path), tmp_path / "mounted"
    record.begin(fresh=True)
    folder.mkdir()
    path = take(record, folder, "job")
    path.unlink()
    os.utime(record.entry_path(path), (1, 1))
    assert sum(record.sweep()) == 0
    folder.rmdir()
    assert sum(record.sweep()) == 1
    assert list(record.made.iterdir()) == []


def test_a_file_that_cannot_be_removed_keeps_its_entry(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin(fresh=True)
    path = take(record, tmp_path, "job")
    with pytest.raises(PermissionError), record.leaving(path):
        raise PermissionError
    assert record.origin(path) is Origin.MADE


@pytest.mark.parametrize("name", ["a b.csv", "ü\u202e\n.csv", os.fsdecode(b"\xff.csv"), "%2F.csv", "x" * 251 + ".csv"])
def test_any_name_that_a_file_can_have_is_recorded(tmp_path: Path, name: str) -> None:
    record = Record(tmp_path)
    record.begin(fresh=True)
    assert take(record, tmp_path, "job", name).name == name
    assert take(record, tmp_path, "job", name).name == name
    assert len(os.fsencode(take(record, tmp_path, "other", name).name)) <= 255


def test_names_that_are_all_taken_are_refused(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin(fresh=True)
    (tmp_path / "a.csv").touch()
    with (
        pytest.raises(NamesTakenError, match="clean the folder up"),
        taken(record, tmp_path, {"x": CONTENT}, lambda _, __: "a.csv", maker("q", "job")),
    ):
        pass


def test_no_path_leads_into_the_folders_that_the_service_keeps_for_itself(roots: StorageRoots, uploads: Path) -> None:
    own, exports = uploads / OWN_FOLDER, roots.roots["export"] / EXPORTS_OWN_FOLDER
    (uploads / "link").symlink_to(own)
    for path in (
        own,
        own / "record",
        uploads / "x" / ".." / OWN_FOLDER / "made",
        uploads / "link",
        exports,
        exports / "made",
    ):
        with pytest.raises(StoragePathError, match="the service's own"):
            roots.resolve(str(path))


def test_what_is_asked_of_a_file_costs_the_same_among_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record(tmp_path)
    record.begin(fresh=True)

    def cost(number: int) -> int:
        calls = 0

        def counted(event: str, _: object) -> None:
            nonlocal calls
            calls += watching and event.startswith(("os.", "open"))

        watching = True
        sys.addaudithook(counted)
        path = take(record, tmp_path, f"job{number}", f"{number}.csv")
        record.origin(path)
        watching = False
        return calls

    few = cost(0)
    bucket = record.bucket(tmp_path)
    for number in range(20_000):
        os.link(bucket / "0.csv", bucket / f"many{number}")
    assert cost(1) <= few
    assert produced.OWN_FOLDER == OWN_FOLDER
