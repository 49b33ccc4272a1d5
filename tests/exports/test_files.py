"""Files appear whole or not at all, whatever kills their making, and go when their time is over: they, and nothing else."""

import asyncio
import os
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportExcel, ExportFormat, ExportFormSubmissions, ExportJson
from sqlalchemy import text

from base.output_names import maker
from base.produced import Record
from base.settings import Settings
from base.storage import EXPORTS_OWN_FOLDER, MARKER
from contract.catalog import Catalog
from engine.jobs import State
from engine.steering import Steering
from engine.store import Store
from families.database.connection import open_database, writing
from families.exports.drafts import Draft, drafts_below, notes_below
from families.exports.excel_writer import ExcelWriter
from families.exports.retention import ABANDONED_SECONDS, Removed, remove_expired
from families.files.archive import ARCHIVES, archive_name
from tests.conftest import eventually
from tests.exports.conftest import INSPECTION, QUEUE, Desk, desk_of, working
from tests.exports.relay import Relay, held_up
from tests.workers.conftest import LEASE, workers_for

ROWS = 10_000
HALF = 1_000_000
"""Bytes: of so many users, about the half."""
DAY = 86_400.0
NOW = 1_800_000_000.0
NOTHING = Removed(files=0, archives=0, drafts=0)


def draft(root: Path, job_id: str = "job", start: int = 1, content: bytes = b"content") -> Draft:
    made = Draft(root, job_id, start)
    made.open()
    made.write(content)
    return made


def publish(made: Draft, place: Path, expires: float = NOW, by: str = "job") -> Path:
    root = made.folder.parent.parent.parent
    return made.publish(place, expires, Record(root), maker(QUEUE, by))


def leftovers(desk: Desk) -> list[Path]:
    folder = drafts_below(desk.folder)
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_draft_is_unseen_until_it_is_published_whole(tmp_path: Path) -> None:
    made = draft(tmp_path)
    place = tmp_path / "deep" / "file.csv"
    assert [path for path in tmp_path.rglob("*") if not {EXPORTS_OWN_FOLDER, ".qjobs"} & {*path.parts}] == []
    made.write(b" and more")
    publish(made, place)
    assert place.read_bytes() == b"content and more"
    assert (made.size, len(made.sha256)) == (16, 64)
    assert place.stat().st_mode & 0o777 == 0o640
    assert not made.folder.exists()


def test_a_discarded_draft_leaves_nothing(tmp_path: Path) -> None:
    made = draft(tmp_path)
    (made.folder / "sheet1").write_bytes(b"x")
    made.discard()
    made.discard()
    assert not made.folder.exists()
    never_opened = Draft(tmp_path, "job", 1)
    never_opened.discard()


def test_a_start_removes_what_earlier_ones_of_its_job_left_and_nothing_of_others(tmp_path: Path) -> None:
    dead, others = draft(tmp_path, "job", 1), [draft(tmp_path, name, 1) for name in ("job.1", "job2", "jo")]
    late = draft(tmp_path, "job", 3)
    current = draft(tmp_path, "job", 2)
    assert not dead.folder.exists()
    assert all(each.folder.exists() for each in (*others, late, current))
    with pytest.raises(OSError):  # noqa: PT011  (a frozen worker that goes on cannot publish what is gone)
        publish(dead, tmp_path / "file.csv")
    assert not (tmp_path / "file.csv").exists()
    for each in (dead, late, current, *others):
        each.discard()


@pytest.fixture
def home(settings: Settings) -> Settings:
    settings.root("export").mkdir(parents=True)
    return settings


def test_files_are_removed_once_their_time_is_over(home: Settings) -> None:
    root = home.root("export")
    for name, expires in (("old", NOW - 1), ("new", NOW + 1)):
        publish(draft(root, name), root / f"{name}.csv", expires, name)
    assert remove_expired(home, NOW) == Removed(files=1, archives=0, drafts=0)
    assert sorted(path.name for path in root.glob("*.csv")) == ["new.csv"]
    assert [note.name for note in notes_below(root).iterdir()] == ["new"]
    assert remove_expired(home, NOW) == NOTHING


def test_what_is_not_an_export_is_never_removed(home: Settings, tmp_path: Path) -> None:
    root = home.root("export")
    foreign = root / "somebody's own.csv"
    foreign.write_text("x")
    os.utime(foreign, (1, 1))
    (root / MARKER).write_text("id")
    outside = tmp_path / "outside.csv"
    outside.write_text("content")
    for name in ("replaced", "linked", "folder", "above"):
        publish(draft(root, name), root / f"{name}.csv", NOW - 1, name)
        if name != "above":
            (root / f"{name}.csv").unlink()
    (root / "replaced.csv").write_text("a newer one")
    (root / "linked.csv").symlink_to(outside)
    (root / "folder.csv").mkdir()
    note = notes_below(root) / "above"
    note.write_bytes(note.read_bytes().replace(b"above.csv", b"../../outside.csv"))
    (notes_below(root) / "torn").write_bytes(b'{"path"')
    assert remove_expired(home, NOW) == NOTHING
    assert outside.read_text() == "content"
    assert foreign.exists()
    assert (root / "replaced.csv").read_text() == "a newer one"
    assert not list(notes_below(root).iterdir())


def test_archives_whose_place_nobody_named_go_as_exports_do(home: Settings, tmp_path: Path) -> None:
    folder = home.root("export") / ARCHIVES
    folder.mkdir()
    outside = tmp_path / "outside.zip"
    old, young, linked = (folder / archive_name(tag) for tag in ("0123abcd", "1123abcd", "2123abcd"))
    foreign = [folder / "archive.zip", folder / "archive_mine_0123abcd.zip"]
    for path, age in ((outside, 8), (old, 8), (young, 6), *((path, 800) for path in foreign)):
        path.write_text("content")
        os.utime(path, (NOW - age * DAY, NOW - age * DAY))
    linked.symlink_to(outside)
    os.utime(linked, (1, 1), follow_symlinks=False)
    assert remove_expired(home, NOW) == Removed(files=0, archives=1, drafts=0)
    assert set(folder.iterdir()) == {young, linked, *foreign}
    assert outside.exists()


def test_drafts_that_nobody_writes_any_more_are_removed(home: Settings) -> None:
    root = home.root("export")
    dead, alive = draft(root, "dead"), draft(root, "alive")
    long_ago = time.time() - ABANDONED_SECONDS - 1
    for each in (dead, alive):
        os.utime(each.folder / "file", (long_ago, long_ago))
        os.utime(each.folder, (long_ago, long_ago))
    (alive.folder / "sheet1").write_bytes(b"x")
    assert remove_expired(home, time.time()) == Removed(files=0, archives=0, drafts=1)
    assert [path.name for path in drafts_below(root).iterdir()] == ["alive~1"]
    alive.discard()
    dead.discard()


def test_an_empty_export_folder_has_nothing_to_remove(settings: Settings) -> None:
    assert remove_expired(settings, NOW) == NOTHING


async def test_a_file_stays_for_the_days_that_the_setting_says(desk: Desk) -> None:
    made = (await desk.export(ExportCsv(query={"model": "Form"}))).metadata
    generated = made.generate_time.ToNanoseconds() / 1e9
    assert remove_expired(desk.settings, generated + 7 * DAY - 1).files == 0
    assert Path(made.file_path).exists()
    assert remove_expired(desk.settings, generated + 7 * DAY + 1).files == 1
    assert not Path(made.file_path).exists()


@pytest.mark.parametrize("path", ["exports/taken", "exports/new/../../uploads/x", "exports"])
async def test_a_place_that_is_none_for_exports_is_refused_by_the_job_too(desk: Desk, path: str) -> None:
    (desk.folder / "taken").mkdir()
    why = await desk.refused(ExportCsv(query={"model": "Form"}, output_path=path))
    assert why.startswith("outputPath: the ")
    assert desk.files() == []
    assert leftovers(desk) == []


async def test_a_link_in_the_way_leads_nowhere_outside(
    sample_database: Settings, store: Store, catalog: Catalog
) -> None:
    desk = desk_of(sample_database, store, catalog)
    outside = desk.folder.parent.parent
    job_id = await desk.enqueue(ExportCsv(query={"model": "Form"}, output_path="exports/out/x.csv"))
    (desk.folder / "out").symlink_to(outside)
    async with working(desk.settings):
        record = await desk.end(job_id)
    assert (record.state, record.starts) == (State.FAILED, 1)
    assert "outside the storage roots" in record.failed_reason
    assert not (outside / "x.csv").exists()


async def test_a_file_of_an_earlier_export_is_replaced_whole(desk: Desk) -> None:
    for model in ("User", "Form"):
        await desk.export(ExportCsv(query={"model": model}, fields=["id"], output_path="exports/same.csv"))
    assert (desk.folder / "same.csv").read_text().count("\n") == 8


async def test_a_failed_export_leaves_nothing_behind(desk: Desk) -> None:
    engine = open_database(desk.settings)
    async with writing(engine) as connection:
        await connection.execute(text("ALTER TABLE submission_data RENAME COLUMN value_type TO other"))
    await engine.dispose()
    for payload in (
        ExportExcel(
            worksheets=[{"name": "a", "query": {"model": "Form"}}, {"name": "b", "query": {"model": "SubmissionData"}}]
        ),
        ExportFormSubmissions(form_id=INSPECTION, format=ExportFormat.EXPORT_FORMAT_XLSX),
    ):
        record = await desk.end(await desk.enqueue(payload, attempts=1))
        assert record.state is State.FAILED
        assert "the database lacks a column" in record.failed_reason
    assert desk.files() == []
    assert leftovers(desk) == []


@pytest.fixture
def big(sample_database: Settings, store: Store, catalog: Catalog) -> Desk:
    return desk_of(sample_database.model_copy(update={"queue_lease_seconds": LEASE}), store, catalog)


async def fill(settings: Settings, rows: int) -> None:
    """Adds so many users."""
    engine = open_database(settings)
    async with writing(engine) as connection:
        await connection.execute(
            text(
                "INSERT INTO users (username, email, password_hash, department) "
                "SELECT 'u' || n, 'u' || n || '@example.com', 'x', '=' || n FROM generate_series(1, :rows) AS n"
            ),
            {"rows": rows},
        )
    await engine.dispose()


async def in_the_middle(desk: Desk, job_id: str, relay: Relay) -> None:
    """Until rows are written, and no more of them come."""
    await asyncio.wait_for(relay.holds.wait(), 40)

    async def look() -> bool:
        return 6 < (await desk.get(job_id)).progress < 89

    await eventually(look, what="rows are written")


@pytest.mark.parametrize("kind", [ExportJson, ExportExcel])
async def test_a_worker_killed_in_the_middle_leaves_no_half_file_and_another_completes_the_job(
    big: Desk, tmp_path: Path, kind: type
) -> None:
    await fill(big.settings, ROWS)
    payload = kind(query={"model": "User", "options": {"where": {"username": {"like": "u%"}}}})
    job_id = await big.enqueue(payload)
    async with held_up(big.settings, HALF) as (through, relay):
        with workers_for(through, tmp_path, QUEUE) as new_worker:
            new_worker()
            await in_the_middle(big, job_id, relay)
        assert big.files() == []
        assert [path.name for path in leftovers(big)] == [f"{job_id}~1"]
    with workers_for(big.settings, tmp_path, QUEUE) as new_worker:
        new_worker()
        record = await big.end(job_id)
    assert (record.state, record.starts) == (State.COMPLETED, 2), record.failed_reason
    (file,) = big.files()
    assert leftovers(big) == []
    result: Any = big.catalog.type(QUEUE, record.envelope.job_type).result.FromString(record.result)
    made = result.metadata
    assert (made.record_count, made.file_path) == (ROWS, str(file))
    if kind is ExportExcel:
        with closing(load_workbook(file, read_only=True)) as book:
            assert sum(1 for _ in book.worksheets[0].rows) == ROWS + 1


@pytest.mark.parametrize("kind", [ExportCsv, ExportExcel])
async def test_a_cancelled_export_ends_and_leaves_nothing(
    sample_database: Settings, store: Store, catalog: Catalog, kind: type
) -> None:
    desk = desk_of(sample_database, store, catalog)
    await fill(desk.settings, ROWS)
    async with held_up(desk.settings, HALF) as (through, relay), working(through, queue_lease_seconds=LEASE):
        job_id = await desk.enqueue(kind(query={"model": "User"}))
        await in_the_middle(desk, job_id, relay)
        await Steering(store, desk.inspection).cancel(QUEUE, job_id, "enough")
        assert (await desk.end(job_id)).state is State.CANCELLED
        await eventually(lambda: not leftovers(desk), seconds=10, what="the draft is gone")
    assert desk.files() == []


@pytest.mark.parametrize("kind", [ExportCsv, ExportJson, ExportExcel])
async def test_nothing_is_written_on_the_event_loop(desk: Desk, kind: type, noted_calls: set[str]) -> None:
    await desk.export(kind(query={"model": "User"}))
    assert noted_calls >= {"open", "write", "publish", "discard"}
    assert "MainThread" not in noted_calls


@pytest.fixture
def noted_calls(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What of a draft and a workbook has been called, and the names of the threads that called it."""
    noted: set[str] = set()

    def note(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def noting(*arguments: Any, **named: Any) -> Any:
            noted.update((name, threading.current_thread().name))
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, noting)

    for name in ("open", "write", "publish", "discard"):
        note(Draft, name)
    for name in ("write", "end"):
        note(ExcelWriter, name)
    return noted
