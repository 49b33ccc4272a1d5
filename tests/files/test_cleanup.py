"""What cleanup deletes, and above all what it leaves."""

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from qcollector.jobs.v1.file_pb2 import FileCleanup, FileCleanupResult
from sqlalchemy.ext.asyncio import AsyncEngine

from base.produced import OWN_FOLDER
from base.settings import Settings
from base.storage import MARKER, StorageRoots
from families.database.connection import open_database
from families.files import handlers as file
from families.files.cleaning import CleanupFailedError
from families.files.deletion_log import shown
from families.files.orphans import OrphansRefusedError
from tests.mail.recording import RecordingJob
from workers.outcomes import FailForGood

HOUR = 3600
DAY = 24 * HOUR
Cleanup = Callable[..., Awaitable[FileCleanupResult]]


@pytest.fixture
async def engine(settings: Settings) -> AsyncEngine:
    return open_database(settings)


@pytest.fixture
def cleanup(job: RecordingJob, roots: StorageRoots, engine: AsyncEngine) -> Cleanup:
    async def run(*files: Path | str, older_than: float = 0) -> FileCleanupResult:
        payload = FileCleanup(files=map(str, files), older_than=older_than * 1000)
        return await file.cleanup(payload, job, roots, engine)

    return run


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and OWN_FOLDER not in path.parts}


def aged(path: Path, seconds: float, content: bytes = b"12345") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    moment = time.time() - seconds
    os.utime(path, (moment, moment))
    return path


async def test_old_files_go_and_young_ones_stay(cleanup: Cleanup, uploads: Path, job: RecordingJob) -> None:
    old, young = aged(uploads / "old.jpg", 25 * HOUR), aged(uploads / "young.jpg", 23 * HOUR)
    result = await cleanup(old, young, uploads / "gone.jpg", older_than=DAY)
    assert not old.exists()
    assert young.exists()
    assert (result.success, result.total, result.deleted, result.skipped, result.failed) == (True, 3, 1, 2, 0)
    assert result.freed == 5
    assert job.percents[-1] == 95


async def test_without_an_age_named_files_go_at_once(cleanup: Cleanup, uploads: Path) -> None:
    path = aged(uploads / "new.jpg", 0)
    assert (await cleanup(path)).deleted == 1
    assert not path.exists()


async def test_nothing_outside_the_roots_is_deleted_and_the_rest_is(
    cleanup: Cleanup, uploads: Path, roots: StorageRoots, job: RecordingJob
) -> None:
    outside = aged(roots.roots["upload"].parent.parent / "outside.txt", DAY)
    link, good = uploads / "link.txt", aged(uploads / "good.txt", DAY)
    link.symlink_to(outside)
    (uploads / "folder").symlink_to(outside.parent)
    bad = [
        link,
        outside,
        uploads / "../../outside.txt",
        uploads / "folder/outside.txt",
        uploads,
        uploads / MARKER,
        "/etc/passwd",
        uploads / "\u0000",
    ]
    with pytest.raises(FailForGood) as failed:
        await cleanup(good, *bad)
    assert failed.value.reason.startswith(
        f"{len(bad)} of {len(bad) + 1} files could not be deleted (1 were, 0 skipped)"
    )
    for path in bad:
        assert f"{shown(path)}: " in failed.value.reason
    assert job.lines[0] == f"deleted: {good}"
    assert len(job.lines) == len(bad) + 1
    assert not good.exists()
    assert outside.exists()
    assert link.is_symlink()
    assert (uploads / MARKER).exists()


async def test_a_link_within_the_roots_is_deleted_itself(cleanup: Cleanup, uploads: Path) -> None:
    target, link = aged(uploads / "target.txt", DAY), uploads / "link.txt"
    link.symlink_to(target)
    assert (await cleanup(link)).deleted == 1
    assert not link.is_symlink()
    assert target.exists()


async def test_a_file_that_may_be_deleted_later_makes_the_job_try_again(
    cleanup: Cleanup, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = aged(uploads / "busy.txt", DAY)

    def busy(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", busy)  # root may delete whatever a test could protect
    with pytest.raises(CleanupFailedError, match=r"busy\.txt: Operation not permitted"):
        await cleanup(path)


async def test_without_names_old_temporary_files_and_unfinished_ones_go(
    cleanup: Cleanup, roots: StorageRoots, uploads: Path
) -> None:
    temp, exports = roots.roots["temp"], roots.roots["export"]
    gone = [
        aged(temp / "a.tmp", 2 * DAY),
        aged(temp / "deep/er/b", 2 * DAY),
        aged(exports / "archives/.0123456789abcdef-01234567.qjobs-part", 2 * DAY),
    ]
    stay = [
        aged(temp / "young.tmp", HOUR),
        aged(uploads / "upload.jpg", 90 * DAY),
        aged(exports / ".0123456789abcdef-76543210.qjobs-part", HOUR),
    ]
    (temp / "link").symlink_to(uploads)
    result = await cleanup()
    assert [path for path in gone if path.exists()] == []
    assert [path for path in stay if not path.exists()] == []
    assert (temp / MARKER).exists()
    assert result.deleted == 3
    assert "DATABASE_URL" in result.orphans_skipped


class TestOrphans:
    @pytest.fixture
    def settings(self, sample_database: Settings) -> Settings:
        return sample_database.model_copy(update={"cleanup_delete": True})

    @pytest.fixture
    async def engine(self, settings: Settings) -> object:
        opened = open_database(settings)
        yield opened
        await opened.dispose()

    @pytest.fixture
    def before(self, uploads: Path) -> set[Path]:
        return files_below(uploads)

    async def test_uploads_that_no_row_names_go(self, cleanup: Cleanup, uploads: Path, before: set[Path]) -> None:
        orphans = {path for path in before if "orphaned" in path.parts}
        assert orphans
        result = await cleanup()
        assert before - files_below(uploads) == orphans
        assert result.deleted == len(orphans)
        assert not result.reported
        assert not result.orphans_skipped

    async def test_what_belongs_to_an_upload_stays(self, cleanup: Cleanup, uploads: Path, before: set[Path]) -> None:
        named = next(path for path in before if "orphaned" not in path.parts and path.suffix == ".jpg")
        derived = [
            aged(named.parent / "processed" / f"thumbnail_small_{named.name}", 9 * DAY),
            aged(named.parent / "processed" / f"thumbnail_my_box_{named.name}", 9 * DAY),
            aged(named.parent / "processed" / f"optimized_{named.name}", 9 * DAY),
            aged(uploads / "elsewhere" / f"{named.stem}.webp", 9 * DAY),
            aged(uploads / "quarantine" / "bad.exe", 9 * DAY),
            aged(uploads / "new.jpg", HOUR),
        ]
        await cleanup()
        assert [path for path in derived if not path.exists()] == []

    async def test_on_a_database_of_the_users_own_orphans_are_only_reported(
        self, settings: Settings, roots: StorageRoots, engine: AsyncEngine, uploads: Path, before: set[Path]
    ) -> None:
        job = RecordingJob(settings.model_copy(update={"cleanup_delete": False}))
        result = await file.cleanup(FileCleanup(), job, roots, engine)
        assert {Path(path) for path in result.reported} == {path for path in before if "orphaned" in path.parts}
        assert before == files_below(uploads)
        assert any("CLEANUP_DELETE=true" in line for line in job.lines)

    async def test_more_than_a_tenth_is_never_deleted(self, cleanup: Cleanup, uploads: Path, before: set[Path]) -> None:
        litter = {aged(uploads / f"litter/{number}.jpg", 9 * DAY) for number in range(len(before))}
        with pytest.raises(OrphansRefusedError, match="more than a tenth, nothing was deleted"):
            await cleanup()
        assert before | litter == files_below(uploads)

    async def test_a_database_that_is_away_deletes_nothing(
        self, settings: Settings, roots: StorageRoots, job: RecordingJob, uploads: Path, before: set[Path]
    ) -> None:
        from pydantic import SecretStr  # noqa: PLC0415

        from families.database.errors import DatabaseUnavailableError  # noqa: PLC0415
        from tests.conftest import free_port  # noqa: PLC0415

        address = SecretStr(f"postgresql://user@127.0.0.1:{free_port()}/data")
        away = open_database(settings.model_copy(update={"database_url": address}))
        with pytest.raises(DatabaseUnavailableError):
            await file.cleanup(FileCleanup(), job, roots, away)
        assert before == files_below(uploads)
