"""Whatever ends a backup, nothing half-made stays, and nothing that it started runs on."""

import os
from datetime import UTC, datetime
from pathlib import Path

import psutil
from qcollector.jobs.v1.system_pb2 import SystemBackupResult

from base.produced import OWN_FOLDER
from base.settings import Settings
from base.storage import MARKER, StorageRoots
from contract.catalog import Catalog
from engine.jobs import State
from engine.steering import Steering
from engine.store import Store
from families.system.backup.manifest import Manifest, read_manifest, write_manifest
from families.system.backup.retention import prune
from tests.conftest import eventually
from tests.desk import Desk, desk_of
from tests.held import held
from tests.maintenance.conftest import aged
from tests.maintenance.test_backup import DATABASE, UPLOADS, backup_of
from tests.workers.conftest import workers_for

MEGABYTE = 1 << 20


def in_backups(settings: Settings) -> list[Path]:
    return [path for path in settings.root("backup").iterdir() if path.name not in {MARKER, OWN_FOLDER}]


def children(name: str) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if child.name() == name:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def test_a_worker_that_is_killed_leaves_nothing_and_another_makes_the_backup(
    sample_database: Settings, store: Store, catalog: Catalog, tmp_path: Path
) -> None:
    settings = sample_database.model_copy(update={"queue_lease_seconds": 1})
    StorageRoots(settings).prepare()
    (settings.root("upload") / "some.bin").write_bytes(os.urandom(MEGABYTE))
    desk = desk_of(settings, store, catalog)
    with workers_for(settings, tmp_path, "system:backup", QUEUE_LEASE_SECONDS=1) as new_worker:
        async with held(settings) as lock:
            job_id = await desk.enqueue(backup_of(UPLOADS, DATABASE))
            first = new_worker()
            await eventually(lock.waits, what="the dump waits for the table")
            started = psutil.Process(first.process.pid).children(recursive=True)
            assert "pg_dump" in {child.name() for child in started}
            first.kill()
            assert [path.name[0] for path in in_backups(settings)] == ["."]
            await eventually(lambda: not any(_lives(child) for child in started), what="its processes are gone")
        new_worker()
        record = await desk.end(job_id)
        assert (record.state, record.starts) == (State.COMPLETED, 2)
        (place,) = in_backups(settings)
        result = SystemBackupResult.FromString(record.result)
        assert result.results.manifest == str(place / "manifest.json")
        assert result.results.backups[0].result.size > MEGABYTE


async def test_a_cancelled_backup_ends_the_dump_and_leaves_nothing(sample_desk: Desk, store: Store) -> None:
    async with held(sample_desk.settings) as lock:
        job_id = await sample_desk.enqueue(backup_of(DATABASE))
        await eventually(lock.waits, what="the dump waits for the table")
        (dump,) = children("pg_dump")
        await Steering(store, sample_desk.inspection).cancel("system:backup", job_id, "not now")
        await eventually(lambda: not _lives(dump), what="pg_dump is gone")
    assert (await sample_desk.get(job_id)).state is State.CANCELLED
    await eventually(lambda: in_backups(sample_desk.settings) == [], what="the draft is gone")


async def test_a_backup_that_runs_out_of_time_ends(sample_desk: Desk) -> None:
    async with held(sample_desk.settings):
        reason = await sample_desk.fail(backup_of(DATABASE), timeout=1500, attempts=1)
    assert reason == "timed out after 1.5 s"
    assert children("pg_dump") == []
    assert in_backups(sample_desk.settings) == []


async def test_old_backups_go_but_the_newest_whole_one_and_what_is_not_ours_stay(desk: Desk) -> None:
    root = desk.settings.root("backup")
    (desk.settings.root("upload") / "a.txt").write_text("a")
    for _ in range(3):
        await desk.run(backup_of(UPLOADS))
    old, kept_by_others, newest = sorted(path.parent for path in root.glob("*/manifest.json"))
    for place in (old, kept_by_others):
        _make_old(place)
    (kept_by_others / "notes.txt").write_text("mine")
    aged(root / "weekly_2001" / "dump.sql", 9000)
    aged(root / ".0123abcd-1.unfinished" / "half.tar.zst", 9)
    os.utime(root / ".0123abcd-1.unfinished", (1, 1))

    result = await desk.run(backup_of(UPLOADS))
    assert set(result.results.pruned) == {old.name, kept_by_others.name}
    assert not old.exists()
    assert [path.name for path in kept_by_others.iterdir()] == ["notes.txt"]
    assert (root / "weekly_2001" / "dump.sql").exists()
    assert newest.exists()
    assert not (root / ".0123abcd-1.unfinished").exists()


def test_of_backups_that_are_all_too_old_the_newest_whole_one_stays(tmp_path: Path) -> None:
    for day, failed in ((1, {}), (2, {}), (3, {"uploads": "no space"})):
        place = tmp_path / f"day{day}"
        place.mkdir()
        created = datetime(2026, 1, day, tzinfo=UTC).isoformat()
        write_manifest(place, Manifest("qjobs-backup/1", "manual", created, f"job{day}", "1", (), failed))
    assert prune(tmp_path, datetime(2026, 6, 1, tzinfo=UTC), 30) == ["day1", "day3"]
    assert [path.name for path in tmp_path.iterdir()] == ["day2"]


async def test_the_only_whole_backup_is_kept_however_old(desk: Desk) -> None:
    (desk.settings.root("upload") / "a.txt").write_text("a")
    first = Path((await desk.run(backup_of(UPLOADS))).results.manifest)
    _make_old(first.parent)
    await desk.fail(backup_of(UPLOADS, DATABASE), attempts=1)
    assert first.exists()


async def test_a_file_that_is_damaged_while_it_is_written_is_found(desk: Desk) -> None:
    """Somebody overwrites what was written before it is read back."""
    (desk.settings.root("upload") / "large.bin").write_bytes(os.urandom(128 * MEGABYTE))
    job_id = await desk.enqueue(backup_of(UPLOADS), attempts=1)

    async def damage() -> bool:
        for path in desk.settings.root("backup").glob(".*/*.tar.zst"):
            if path.stat().st_size > 4 * MEGABYTE:
                with path.open("r+b") as file:
                    file.seek(MEGABYTE)
                    file.write(b"nonsense")
                return True
        return False

    await eventually(damage, every=0.001)
    record = await desk.end(job_id)
    assert record.state is State.FAILED
    assert "uploads: " in record.failed_reason
    assert in_backups(desk.settings) == []


def _make_old(place: Path) -> None:
    manifest = read_manifest(place / "manifest.json")
    path = place / "manifest.json"
    path.write_text(path.read_text().replace(manifest.created[:4], "2019", 1))


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
