"""`qjobs download`: the whole file under its own name, or nothing."""

import hashlib
from pathlib import Path

import pytest
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportCsvResult, ExportMetadata
from qcollector.jobs.v1.payload_pb2 import JobPayload
from testjobs.v1.testjobs_pb2 import Script, ScriptResult, Step

from cli.downloads import is_plain_name
from cli.exits import Exit
from tests.cli.conftest import Qjobs, Running, Worker, succeeded

QUEUE = "export:data"
CONTENT = b"id,name\n1,Ada\n" * 50_000


async def exported(service: Running, worker: Worker, **changes: object) -> str:
    """A completed export whose file is CONTENT."""
    root = service.settings.root("export")
    root.mkdir(parents=True, exist_ok=True)
    (root / "users.csv").write_bytes(CONTENT)
    told = {
        "file_path": str(root / "users.csv"),
        "file_name": "Users Übersicht.csv",
        "file_size": len(CONTENT),
        "content_type": "text/csv",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        **changes,
    }
    payload = JobPayload(export_csv=ExportCsv(query={"model": "User"}))
    answer = await service.admin.jobs.EnqueueJob(EnqueueJobRequest(payload=payload))
    await worker.run(ExportCsvResult(metadata=ExportMetadata(**told)), queue=QUEUE)
    return str(answer.job_id)


@pytest.mark.families
async def test_a_file_comes_whole_under_its_own_name_and_replaces_none(
    qjobs: Qjobs, service: Running, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await exported(service, worker)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert "as it was made" in succeeded(await qjobs("download", job_id)).out
    (file,) = here.iterdir()
    assert (file.name, file.read_bytes()) == ("Users Übersicht.csv", CONTENT)
    file.write_text("mine")
    assert (await qjobs("download", job_id)).status == Exit.CONFLICT
    assert file.read_text() == "mine"
    told = succeeded(await qjobs("download", job_id, "--force", "-o", "json")).json
    assert told == {"path": file.name, "size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    succeeded(await qjobs("download", QUEUE, job_id, "--to", "other.csv"))
    assert sorted(path.name for path in here.iterdir()) == ["Users Übersicht.csv", "other.csv"]
    assert (await qjobs("download", job_id, "--to", "no/such/place.csv")).status == Exit.USAGE


@pytest.mark.families
async def test_a_file_that_is_not_the_one_that_was_made_is_not_handed_out(
    qjobs: Qjobs, service: Running, worker: Worker, tmp_path: Path
) -> None:
    job_id = await exported(service, worker, sha256="0" * 64)
    said = await qjobs("download", job_id, "--to", str(tmp_path / "x.csv"))
    assert said.status == Exit.NOT_FOUND
    assert not list(tmp_path.glob("*x.csv*"))


@pytest.mark.families
@pytest.mark.parametrize("name", ["../evil.csv", "/etc/passwd", "..\\evil.csv", ".bashrc"])
async def test_a_name_that_leads_elsewhere_is_refused(
    qjobs: Qjobs, service: Running, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    job_id = await exported(service, worker, file_name=name)
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    said = await qjobs("download", job_id)
    assert said.status == Exit.INTERNAL
    assert [path for path in (tmp_path / "a").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "C:x", "/x", "-rf", ".hidden", "a\nb", "a\x1b[2Jb", "x" * 256, "a\u202eb"]
)
def test_only_a_plain_name_is_one(name: str) -> None:
    assert not is_plain_name(name)
    assert is_plain_name("Users Übersicht (2).csv")


async def test_a_job_without_a_file_gives_its_result_as_json(
    qjobs: Qjobs, service: Running, worker: Worker, tmp_path: Path
) -> None:
    job_id = await service.admin.enqueue(Script(steps=[Step(answer=1)]))
    early = await qjobs("download", job_id, "--to", str(tmp_path))
    assert early.status == Exit.CONFLICT
    await worker.run(ScriptResult(pad="x"))
    succeeded(await qjobs("download", job_id, "--to", str(tmp_path)))
    assert '"x"' in (tmp_path / f"{job_id}.json").read_text()
    assert (await qjobs("download", "nothing")).status == Exit.NOT_FOUND
