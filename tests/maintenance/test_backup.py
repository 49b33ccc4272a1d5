"""A backup holds all that it was made from, appears whole, and can be restored."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pyrage
import pytest
from pydantic import SecretStr
from qcollector.jobs.v1.system_pb2 import (
    SystemBackup,
    SystemBackupResult,
    SystemBackupTarget,
    SystemBackupTargetType,
)
from sqlalchemy import text

from base.produced import OWN_FOLDER
from base.settings import Settings, load
from base.storage import MARKER
from contract.catalog import Catalog
from engine.jobs import State
from engine.store import Store
from families.database.connection import open_database, reading
from families.database.settings import DatabaseSettings
from families.database.tables import metadata
from families.system.backup.manifest import read_manifest
from families.system.restore import Aim, Restore
from stack.errors import StackError
from tests.conftest import eventually
from tests.desk import Desk
from tests.maintenance.conftest import working
from tests.postgres import PostgresServer

DATABASE, FILES, LOGS, UPLOADS = (
    SystemBackupTargetType.SYSTEM_BACKUP_TARGET_TYPE_DATABASE,
    SystemBackupTargetType.SYSTEM_BACKUP_TARGET_TYPE_FILES,
    SystemBackupTargetType.SYSTEM_BACKUP_TARGET_TYPE_LOGS,
    SystemBackupTargetType.SYSTEM_BACKUP_TARGET_TYPE_UPLOADS,
)


def backup_of(*targets: SystemBackupTargetType.ValueType, **fields: str) -> SystemBackup:
    return SystemBackup(targets=[SystemBackupTarget(type=target, **fields) for target in targets], type="weekly")


async def contents(address: SecretStr) -> dict[str, list[str]]:
    """Every row of every table, as PostgreSQL writes it."""
    engine = open_database(load(database_url=address))
    async with reading(engine) as connection:
        rows = {
            name: list((await connection.scalars(text(f'SELECT t::text FROM "{name}" AS t ORDER BY 1'))).all())
            for name in metadata.tables
        }
    await engine.dispose()
    return rows


def files_in(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARKER and OWN_FOLDER not in path.parts
    }


@pytest.fixture
async def empty_database(postgres: PostgresServer) -> AsyncIterator[SecretStr]:
    async with postgres.empty() as told:
        yield told["database_url"]


async def test_a_backup_is_restored_row_by_row_and_byte_by_byte(
    sample_desk: Desk, empty_database: SecretStr, tmp_path: Path
) -> None:
    settings = sample_desk.settings
    (settings.root("log") / "app.log").write_text("something happened\n")
    result: SystemBackupResult = await sample_desk.run(backup_of(DATABASE, UPLOADS, LOGS))
    assert result.success
    assert [entry.target for entry in result.results.backups] == ["database", "uploads", "logs"]
    for entry in result.results.backups:
        made = Path(entry.result.backup_file)
        assert hashlib.sha256(made.read_bytes()).hexdigest() == entry.result.sha256
        assert made.stat().st_size == entry.result.size
        assert entry.result.verified
        assert not entry.result.encrypted

    aim = Aim(settings, database_url=empty_database.get_secret_value(), into=tmp_path / "back")
    restore = Restore(Path(result.results.manifest), aim)
    for item in restore.check():
        await asyncio.to_thread(restore.put_back, item)

    rows = await contents(empty_database)
    assert len(rows["submissions"]) > 1000
    assert rows == await contents(DatabaseSettings.of(settings).database_url)
    uploads = files_in(settings.root("upload"))
    assert uploads
    assert files_in(tmp_path / "back" / "uploads") == uploads
    assert (tmp_path / "back" / "logs" / "app.log").read_text() == "something happened\n"


async def test_an_encrypted_backup_opens_with_the_recipients_key_alone(
    settings: Settings, store: Store, catalog: Catalog, tmp_path: Path
) -> None:
    key, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(f"# created: today\n{key}\n")
    (tmp_path / "other").write_text(str(other))
    async with working(settings, store, catalog, backup_recipient=str(key.to_public())) as desk:
        note = settings.root("upload") / "note.txt"
        note.write_text("for few eyes" * 100_000)
        result = await desk.run(backup_of(UPLOADS))
    (entry,) = result.results.backups
    assert entry.result.encrypted
    assert entry.result.verified
    assert Path(entry.result.backup_file).read_bytes().startswith(b"age-encryption.org/v1\n")
    manifest = Path(result.results.manifest)

    with pytest.raises(StackError, match="--identity"):
        Restore(manifest, Aim(settings, into=tmp_path / "back")).check()
    wrong = Restore(manifest, Aim(settings, into=tmp_path / "back"), tmp_path / "other")
    with pytest.raises(StackError, match="uploads: "):
        wrong.put_back(wrong.check()[0])
    right = Restore(manifest, Aim(settings, into=tmp_path / "back"), tmp_path / "key")
    right.put_back(right.check()[0])
    assert (tmp_path / "back" / "uploads" / "note.txt").read_text() == note.read_text()


async def test_a_target_that_fails_is_told_and_the_others_are_kept(desk: Desk) -> None:
    (desk.settings.root("upload") / "a.txt").write_text("a")
    job_id = await desk.enqueue(backup_of(UPLOADS, DATABASE), attempts=1)
    record = await desk.end(job_id)
    assert record.state is State.FAILED
    assert (
        "1 of 2 targets failed: database: there is no database: set DATABASE_URL; kept is uploads"
        in record.failed_reason
    )
    (manifest,) = desk.settings.root("backup").glob("weekly_*/manifest.json")
    assert list(read_manifest(manifest).failed) == ["database"]
    assert [entry.target for entry in read_manifest(manifest).files] == ["uploads"]


async def test_before_its_last_attempt_a_failed_backup_leaves_nothing(desk: Desk) -> None:
    options = {"attempts": 2, "backoff": {"type": "fixed", "delay": 600_000}}
    job_id = await desk.enqueue(backup_of(UPLOADS, DATABASE), **options)
    await eventually(lambda: _failed_once(desk, job_id))
    assert {path.name for path in desk.settings.root("backup").iterdir()} == {MARKER, OWN_FOLDER}


async def _failed_once(desk: Desk, job_id: str) -> bool:
    return (await desk.get(job_id)).fails == 1


async def test_links_are_left_out_and_the_job_says_so(desk: Desk, tmp_path: Path) -> None:
    upload = desk.settings.root("upload")
    (tmp_path / "secret.txt").write_text("hush")
    (upload / "file.txt").write_text("file")
    (upload / "link.txt").symlink_to(tmp_path / "secret.txt")
    (upload / "linked").symlink_to(tmp_path)
    os.mkfifo(upload / "pipe")
    job_id = await desk.enqueue(backup_of(UPLOADS))
    record = await desk.end(job_id)
    result = SystemBackupResult.FromString(record.result)
    assert result.results.backups[0].result.files == 1
    assert "uploads: left out, as they are no files: link.txt, linked, pipe" in await desk.log(job_id)
