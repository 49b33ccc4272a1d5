"""Cleanup removes what is old and nothing else, and says what it did."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from qcollector.jobs.v1.system_pb2 import (
    SystemCleanup,
    SystemCleanupResult,
    SystemCleanupTask,
    SystemCleanupTaskType,
)
from sqlalchemy import func, select

from base.produced import OWN_FOLDER
from base.settings import Settings
from base.storage import MARKER
from contract.catalog import Catalog
from contract.decoding import decode_data
from contract.errors import RequestInvalidError
from engine.jobs import State
from engine.kept_results import KeptResults
from engine.store import Store
from families.analytics.kept import ANALYTICS
from families.database.connection import open_database, reading
from families.database.tables import sessions
from tests.conftest import eventually
from tests.desk import Desk, desk_of
from tests.maintenance.conftest import DAY, QUEUES, aged, working
from tests.workers.conftest import LEASE, workers_for


def cleanup(*tasks: dict[str, Any]) -> SystemCleanup:
    """As the documentation writes it."""
    return SystemCleanup(
        tasks=[
            SystemCleanupTask(
                **{**task, "type": SystemCleanupTaskType.Value(f"SYSTEM_CLEANUP_TASK_TYPE_{task['type']}")}
            )
            for task in tasks
        ]
    )


async def sessions_in(settings: Settings) -> int:
    engine = open_database(settings)
    async with reading(engine) as connection:
        count = await connection.scalar(select(func.count()).select_from(sessions))
    await engine.dispose()
    return count or 0


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and OWN_FOLDER not in path.parts} - {MARKER}


async def test_the_documented_example_removes_old_temporary_files(sample_desk: Desk) -> None:
    temp = sample_desk.settings.root("temp")
    aged(temp / "old.bin", 1.1), aged(temp / "below" / "old.bin", 9), aged(temp / "new.bin", 0.9)
    job_type = sample_desk.catalog.type("system:cleanup", "cleanup")
    data = {"tasks": [{"type": "temp_files", "maxAge": DAY * 1000}, {"type": "old_sessions", "maxAge": 7 * DAY * 1000}]}
    result = await sample_desk.run(decode_data(job_type, data))

    assert result.success
    files, old_sessions = result.results.details
    assert (files.task, files.success) == ("temp_files", True)
    assert (files.result.scanned, files.result.deleted, files.result.freed) == (3, 2, 14)
    assert sorted(files.result.examples) == [str(temp / "below" / "old.bin"), str(temp / "old.bin")]
    assert names(temp) == {"new.bin"}
    assert (old_sessions.task, old_sessions.success) == ("old_sessions", True)


async def test_old_sessions_of_a_users_own_database_are_only_reported(sample_desk: Desk) -> None:
    before = await sessions_in(sample_desk.settings)
    result = await sample_desk.run(cleanup({"type": "OLD_SESSIONS", "max_age": 0}))
    outcome = result.results.details[0].result
    assert outcome.deleted == 0
    assert outcome.reported > 0
    assert len(outcome.examples) == outcome.reported
    assert await sessions_in(sample_desk.settings) == before


async def test_sessions_go_once_they_have_been_expired_for_so_long(
    sample_database: Settings, store: Store, catalog: Catalog
) -> None:
    async with working(sample_database, store, catalog, cleanup_delete=True) as desk:
        before = await sessions_in(desk.settings)
        kept = await desk.run(cleanup({"type": "OLD_SESSIONS", "max_age": 3650 * DAY * 1000}))
        assert kept.results.details[0].result.deleted == 0
        result = await desk.run(cleanup({"type": "OLD_SESSIONS", "max_age": 0}))
    outcome = result.results.details[0].result
    assert outcome.scanned == before
    assert outcome.deleted > 0
    assert await sessions_in(desk.settings) == before - outcome.deleted


async def test_old_files_takes_one_folder_and_the_names_that_match(desk: Desk) -> None:
    folder = desk.settings.root("upload") / "scans"
    for name in ("a.tif", "b.tiff", "c.jpg", "below/d.tif"):
        aged(folder / name, 3)
    aged(folder / "young.tif", 1)
    task = {"type": "OLD_FILES", "directory": str(folder), "max_age": 2 * DAY * 1000, "pattern": "*.tif|*.tiff"}
    result = await desk.run(cleanup(task))
    assert result.results.details[0].result.deleted == 2
    assert names(folder) == {"c.jpg", "d.tif", "young.tif"}


async def test_logs_that_are_written_now_stay_and_those_put_aside_go(desk: Desk) -> None:
    folder = desk.settings.root("log")
    for name in ("scheduler.log", "scheduler.log.1", "postgres.log", "app.log", "server.out", "readme.txt"):
        aged(folder / name, 31)
    result = await desk.run(cleanup({"type": "OLD_LOGS"}))
    assert result.results.details[0].result.deleted == 3
    assert {"scheduler.log", "postgres.log", "readme.txt"} <= names(folder)
    assert not names(folder) & {"scheduler.log.1", "app.log", "server.out"}


async def test_links_are_not_followed_out_of_the_roots(desk: Desk, tmp_path: Path) -> None:
    outside = aged(tmp_path / "outside" / "precious.bin", 400)
    temp = desk.settings.root("temp")
    (temp / "folder").symlink_to(outside.parent)
    (temp / "file.bin").symlink_to(outside)
    os.utime(temp / "file.bin", (1, 1), follow_symlinks=False)
    reason = await desk.fail(cleanup({"type": "TEMP_FILES"}))
    assert "file.bin: the path lies outside the storage roots" in reason
    assert outside.exists()


async def test_orphans_are_reported_and_then_deleted_once_that_is_allowed(
    sample_database: Settings, store: Store, catalog: Catalog
) -> None:
    async with working(sample_database, store, catalog) as desk:
        upload = desk.settings.root("upload")
        orphans = names(upload / "forms" / "orphaned")
        everything = names(upload)
        result = await desk.run(cleanup({"type": "ORPHANED_FILES"}))
    outcome = result.results.details[0].result
    assert (outcome.reported, outcome.deleted) == (len(orphans), 0)
    assert {Path(name).name for name in outcome.reported_examples} == orphans
    assert names(upload) == everything
    async with working(sample_database, store, catalog, cleanup_delete=True) as desk:
        result = await desk.run(cleanup({"type": "ORPHANED_FILES"}))
    assert result.results.details[0].result.deleted == len(orphans)
    assert names(upload) == everything - orphans


async def test_without_the_database_nothing_is_an_orphan(settings: Settings, store: Store, catalog: Catalog) -> None:
    async with working(settings, store, catalog, cleanup_delete=True) as desk:
        upload = aged(desk.settings.root("upload") / "a.jpg", 400)
        reason = await desk.fail(cleanup({"type": "ORPHANED_FILES"}))
    assert "set DATABASE_URL" in reason
    assert upload.exists()


async def test_a_task_that_fails_keeps_no_other_from_being_done(desk: Desk) -> None:
    temp = aged(desk.settings.root("temp") / "old.bin", 2)
    job_id = await desk.enqueue(cleanup({"type": "OLD_SESSIONS"}, {"type": "TEMP_FILES"}))
    record = await desk.end(job_id)
    assert "1 of 2 tasks failed, the others are done: old_sessions: " in record.failed_reason
    assert not temp.exists()
    log = await desk.log(job_id)
    assert any(line.startswith("old_sessions: failed: there is no database") for line in log)
    assert "temp_files: 1 of 1 removed, 7 bytes freed" in log
    assert f"deleted: {temp}" in log


async def test_a_cleanup_whose_worker_is_killed_is_completed_by_another(
    settings: Settings, store: Store, catalog: Catalog, tmp_path: Path
) -> None:
    desk = desk_of(settings.model_copy(update={"queue_lease_seconds": LEASE}), store, catalog)
    temp = settings.root("temp")
    files = [aged(temp / f"{number}.tmp", 3) for number in range(6000)]
    young = aged(temp / "young.tmp", 0)
    with workers_for(desk.settings, tmp_path, *QUEUES) as new_worker:
        first = new_worker()
        job_id = await desk.enqueue(cleanup({"type": "TEMP_FILES"}, {"type": "OLD_LOGS"}))
        await eventually(lambda: not files[0].exists() or not files[-1].exists(), every=0.001, what="files begin to go")
        first.signal(signal.SIGKILL)
        first.process.wait(10)
        assert len(names(temp)) > 1
        new_worker()
        record = await desk.end(job_id)
    assert (record.state, record.starts) == (State.COMPLETED, 2), record.failed_reason
    assert names(temp) == {young.name}
    result = SystemCleanupResult.FromString(record.result)
    assert 0 < result.results.details[0].result.deleted < len(files)


async def test_cache_cleanup_lets_go_of_kept_results(desk: Desk, store: Store) -> None:
    kept = KeptResults(store, ANALYTICS)
    await kept.keep("form-stats/1", b"one")
    result = await desk.run(cleanup({"type": "CACHE_CLEANUP", "max_age": DAY * 1000}))
    assert result.results.details[0].result.deleted == 0
    assert await kept.get("form-stats/1") == b"one"
    result = await desk.run(cleanup({"type": "CACHE_CLEANUP"}))
    assert list(result.results.details[0].result.examples) == ["form-stats/1"]
    assert await kept.get("form-stats/1") is None


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"type": "OLD_FILES", "directory": "temp"}, "old_files takes a directory and a maxAge"),
        ({"type": "OLD_FILES", "directory": "../..", "max_age": 1}, "outside the storage roots"),
        ({"type": "OLD_LOGS", "directory": "/var/log"}, "outside the storage roots"),
        ({"type": "TEMP_FILES", "directory": "temp"}, "directory is for"),
        ({"type": "OLD_LOGS", "pattern": "../*"}, "tasks[0].pattern"),
        ({"type": "OLD_LOGS", "max_age": -1}, "tasks[0].maxAge"),
    ],
)
async def test_what_a_task_cannot_do_is_refused_at_enqueue(desk: Desk, task: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestInvalidError) as refused:
        await desk.enqueue(cleanup(task))
    assert said in "".join(f"{problem.field}: {problem.description}" for problem in refused.value.problems)
