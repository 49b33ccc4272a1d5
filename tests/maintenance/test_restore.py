"""`qjobs restore` changes nothing before it knows that all is well, and replaces nothing unless it is told to."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qcollector.jobs.v1.system_pb2 import SystemBackup, SystemBackupOptions, SystemBackupTarget

from contract.errors import RequestInvalidError
from families.system.backup.archive import ArchiveError, read_tar
from families.system.backup.dump import address_of
from families.system.backup.manifest import read_manifest
from families.system.restore import Aim, Restore
from stack.errors import StackError
from tests.desk import Desk
from tests.maintenance.test_backup import DATABASE, FILES, LOGS, UPLOADS, backup_of
from tests.postgres import database_address
from tests.stack.running import environment, qjobs

Content = dict[str, Any]
Change = Callable[[Content], None]


@pytest.fixture
async def manifest(desk: Desk) -> Path:
    """Of a backup of two files."""
    upload = desk.settings.root("upload")
    (upload / "deep" / "er").mkdir(parents=True)
    (upload / "empty").mkdir()
    (upload / "deep" / "er" / "รูป.txt").write_text("picture")
    (upload / "a.txt").write_text("a")
    (upload / "a.txt").chmod(0o600)
    result = await desk.run(backup_of(UPLOADS))
    return Path(result.results.manifest)


def change(manifest: Path, how: Change) -> None:
    content = json.loads(manifest.read_text())
    how(content)
    manifest.write_text(json.dumps(content))


def put_back(manifest: Path, aim: Aim) -> None:
    restore = Restore(manifest, aim)
    for entry in restore.check():
        restore.put_back(entry)


def test_files_come_back_with_their_folders_and_rights(desk: Desk, manifest: Path, tmp_path: Path) -> None:
    put_back(manifest, Aim(desk.settings, into=tmp_path / "back"))
    back = tmp_path / "back" / "uploads"
    assert (back / "deep" / "er" / "รูป.txt").read_text() == "picture"
    assert (back / "empty").is_dir()
    assert (back / "a.txt").stat().st_mode & 0o777 == 0o600


def test_without_into_they_go_where_they_came_from(desk: Desk, manifest: Path) -> None:
    lost = desk.settings.root("upload") / "a.txt"
    with pytest.raises(StackError, match="is there already"):
        put_back(manifest, Aim(desk.settings))
    lost.write_text("changed")
    put_back(manifest, Aim(desk.settings, force=True))
    assert lost.read_text() == "a"


def test_a_damaged_file_is_found_before_anything_is_restored(desk: Desk, manifest: Path, tmp_path: Path) -> None:
    (archive,) = manifest.parent.glob("*.tar.zst")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(StackError, match=r"has not the checksum that the manifest says: it is damaged"):
        put_back(manifest, Aim(desk.settings, into=tmp_path / "back"))
    archive.write_bytes(content[:-1])
    with pytest.raises(StackError, match="has not the size"):
        put_back(manifest, Aim(desk.settings, into=tmp_path / "back"))
    archive.unlink()
    with pytest.raises(StackError, match="cannot be read: No such file"):
        put_back(manifest, Aim(desk.settings, into=tmp_path / "back"))
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    "how",
    [
        lambda content: content["files"][0].update(name="../../secret"),
        lambda content: content["files"][0].update(name="/etc/passwd"),
        lambda content: content.update(format="qjobs-backup/9"),
        lambda content: content.update(more=1),
        lambda content: content["files"][0].update(sha256="1"),
        lambda content: content["files"][0].update(target="../up"),
    ],
)
def test_a_manifest_that_is_none_is_refused(desk: Desk, manifest: Path, how: Change) -> None:
    change(manifest, how)
    with pytest.raises(StackError, match="is no manifest of a backup"):
        Restore(manifest, Aim(desk.settings))


@pytest.mark.parametrize("name", ["../escaped.txt", "/tmp/escaped.txt", "link/escaped.txt"])
def test_no_member_of_an_archive_leaves_the_folder(tmp_path: Path, name: str) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
        member = tarfile.TarInfo(name)
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    archive.seek(0)
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        read_tar(archive, target, overwrite=True)
    assert list(outside.iterdir()) == []
    assert not Path("/tmp/escaped.txt").exists()
    assert not (tmp_path / "escaped.txt").exists()


async def test_a_database_that_is_not_empty_is_left_alone(sample_desk: Desk) -> None:
    result = await sample_desk.run(backup_of(DATABASE))
    told = environment(sample_desk.settings.data_dir)
    url = database_address(sample_desk.settings)
    refused = qjobs("restore", result.results.manifest, "--database-url", url, told=told)
    assert refused.returncode == 2
    assert "is not empty" in refused.stderr
    assert "Traceback" not in refused.stderr
    forced = qjobs("restore", result.results.manifest, "--database-url", url, "--force", told=told)
    assert (forced.returncode, forced.stderr) == (0, "")
    assert "database: into the database" in forced.stdout


def test_the_command_restores_what_it_is_asked_for(desk: Desk, manifest: Path, tmp_path: Path) -> None:
    told = environment(desk.settings.data_dir)
    into = tmp_path / "back"
    unknown = qjobs("restore", str(manifest), "--into", str(into), "--only", "logs", told=told)
    assert unknown.returncode == 2
    assert "The backup holds no logs; it holds uploads." in unknown.stderr
    done = qjobs("restore", str(manifest), "--into", str(into), "--only", "uploads", told=told)
    assert (done.returncode, done.stdout) == (0, f"uploads: 2 files into {into}/uploads\n")
    assert (into / "uploads" / "a.txt").read_text() == "a"


def test_a_dump_is_never_restored_by_guess(desk: Desk, manifest: Path) -> None:
    change(manifest, lambda content: content["files"][0].update(content="dump", target="database"))
    with pytest.raises(StackError, match="--database-url"):
        Restore(manifest, Aim(desk.settings)).check()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"type": FILES}, "files takes a source"),
        ({"type": FILES, "source": "/etc"}, "outside the storage roots"),
        ({"type": FILES, "source": "../../etc"}, "outside the storage roots"),
        ({"type": LOGS, "source": "logs"}, "files takes a source, and nothing else does"),
    ],
)
async def test_what_cannot_be_backed_up_is_refused_at_enqueue(desk: Desk, target: Content, said: str) -> None:
    with pytest.raises(RequestInvalidError) as refused:
        await desk.enqueue(SystemBackup(targets=[SystemBackupTarget(**target)]))
    assert said in str(refused.value.problems)


async def test_backups_stay_within_their_folder(desk: Desk) -> None:
    payload = backup_of(UPLOADS)
    payload.options.CopyFrom(SystemBackupOptions(backup_dir="uploads"))
    assert "outside BACKUP_DIR" in await desk.fail(payload)
    payload.options.backup_dir = "backups/by-hand"
    result = await desk.run(payload)
    assert Path(result.results.manifest).is_relative_to(desk.settings.root("backup") / "by-hand")
    assert read_manifest(Path(result.results.manifest)).type == "weekly"
    backups = SystemBackup(targets=[SystemBackupTarget(type=FILES, source="backups")])
    assert "lies within BACKUP_DIR" in await desk.fail(backups, attempts=1)


@pytest.mark.parametrize(
    ("url", "address", "password"),
    [
        ("postgresql://u:p%40ss@h:5432/d?sslmode=require", "postgresql://u@h:5432/d?sslmode=require", "p@ss"),
        ("postgresql://u@h,i:2/d", "postgresql://u@h,i:2/d", ""),
        ("postgresql:///d?host=/run&password=x%26y", "postgresql:///d?host=%2Frun", "x&y"),
    ],
)
def test_the_password_does_not_stand_in_the_arguments_of_a_program(url: str, address: str, password: str) -> None:
    assert address_of(url).url == address
    assert dict(address_of(url).environment) == ({"PGPASSWORD": password} if password else {})
