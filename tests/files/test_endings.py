"""Workers that are killed and jobs that are broken off, in the middle of their work: real processes on a real store."""

import os
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image
from qcollector.jobs.v1.file_pb2 import (
    FileCleanup,
    FileCleanupResult,
    FileCompress,
    FileCompressResult,
    FileImageProcess,
    FileImageProcessResult,
)

from base.settings import Settings
from base.storage import StorageRoots
from contract.catalog import Catalog
from engine.jobs import State
from engine.store import Store
from tests.conftest import eventually
from tests.engine.conftest import engine_on
from tests.files.conftest import drafts_in
from tests.workers.conftest import LEASE, Desk, WorkerProcess, environment

PROCESS, CLEANUP = "file:process", "file:cleanup"
FILES = 8000


def files_in(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"queue_lease_seconds": LEASE})


@pytest.fixture
def desk(store: Store, settings: Settings, catalog: Catalog) -> Desk:
    return Desk(engine_on(store, settings, catalog))


class Workers:
    """Starts worker processes for the family's queues."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self.started: list[WorkerProcess] = []

    def start(self) -> WorkerProcess:
        worker = WorkerProcess(environment(self._settings), self._folder, arguments=(PROCESS, CLEANUP)).start()
        self.started.append(worker)
        return worker


@pytest.fixture
def workers(settings: Settings, roots: StorageRoots, tmp_path: Path) -> Iterator[Workers]:
    started = Workers(settings, tmp_path)
    yield started
    for worker in started.started:
        worker.kill()


@pytest.fixture
def noise(uploads: Path) -> Path:
    """An image that takes seconds to encode."""
    path = uploads / "noise.png"
    Image.frombytes("RGB", (2000, 1500), os.urandom(2000 * 1500 * 3)).save(path, compress_level=1)
    return path


async def at_work(worker: WorkerProcess, folder: Path) -> psutil.Process:
    """The process that works for the worker's job, once it writes an output into `folder`."""
    (path,) = await eventually(lambda: drafts_in(folder)[:1], seconds=60, what="a draft is being written")
    await eventually(lambda: path.exists() and path.stat().st_size, what="the draft holds something")
    (child,) = psutil.Process(worker.process.pid).children()
    return child


async def test_an_image_whose_worker_is_killed_is_completed_by_another(
    desk: Desk, workers: Workers, noise: Path
) -> None:
    worker = workers.start()
    job_id = await desk.enqueue(FileImageProcess(file_path=str(noise)))
    child = await at_work(worker, noise.parent)
    worker.kill()
    await eventually(lambda: not child.is_running(), seconds=5, what="the process ends with its worker")
    assert [path for path in (noise.parent / "processed").iterdir() if path not in drafts_in(noise.parent)] == []
    workers.start()
    record = await desk.end(job_id, PROCESS, seconds=90)
    assert record.state is State.COMPLETED
    result = FileImageProcessResult.FromString(record.result)
    assert {path.name for path in (noise.parent / "processed").iterdir()} == {
        Path(place).name for place in result.results.values()
    }
    for place in result.results.values():
        with Image.open(place) as image:
            image.load()


async def test_an_archive_whose_worker_is_killed_is_completed_by_another(
    desk: Desk, workers: Workers, uploads: Path, roots: StorageRoots
) -> None:
    paths = [uploads / f"{number}.bin" for number in range(8)]
    for path in paths:
        path.write_bytes(os.urandom(5_000_000))
    worker = workers.start()
    job_id = await desk.enqueue(FileCompress(input_files=map(str, paths), compression_level=9))
    folder = roots.roots["export"] / "archives"
    child = await at_work(worker, roots.roots["export"])
    worker.kill()
    await eventually(lambda: not child.is_running(), seconds=5, what="the process ends with its worker")
    assert list(folder.glob("*.zip")) == []
    workers.start()
    record = await desk.end(job_id, PROCESS, seconds=90)
    assert record.state is State.COMPLETED
    (archive,) = folder.iterdir()
    assert str(archive) == FileCompressResult.FromString(record.result).archive_path
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert len(opened.namelist()) == 8


async def test_a_cleanup_whose_worker_is_killed_is_completed_by_another(
    desk: Desk, workers: Workers, roots: StorageRoots
) -> None:
    temp = roots.roots["temp"]
    moment = time.time() - 10 * 24 * 3600
    for number in range(FILES):
        path = temp / f"{number}.tmp"
        path.touch()
        os.utime(path, (moment, moment))
    young = temp / "young.tmp"
    young.touch()
    worker = workers.start()
    job_id = await desk.enqueue(FileCleanup(older_than=24 * 3600 * 1000))
    await eventually(lambda: files_in(temp) < FILES, seconds=60, every=0.001, what="files begin to go")
    worker.kill()
    assert files_in(temp) > 2
    workers.start()
    record = await desk.end(job_id, CLEANUP, seconds=60)
    assert record.state is State.COMPLETED
    assert FileCleanupResult.FromString(record.result).deleted > 0
    assert [path.name for path in temp.glob("*.tmp")] == ["young.tmp"]


async def test_the_process_of_a_cancelled_job_ends_and_its_half_made_files_go(
    desk: Desk, workers: Workers, noise: Path
) -> None:
    worker = workers.start()
    job_id = await desk.enqueue(FileImageProcess(file_path=str(noise)))
    child = await at_work(worker, noise.parent)
    await desk.engine.steering.cancel(PROCESS, job_id, "enough")
    await eventually(lambda: not child.is_running(), seconds=10, what="the process ends with its job")
    await eventually(lambda: not list((noise.parent / "processed").iterdir()), what="its drafts are gone")
    assert (await desk.get(job_id, PROCESS)).state is State.CANCELLED
    assert worker.alive


async def test_the_process_of_a_job_that_is_out_of_time_ends(desk: Desk, workers: Workers, noise: Path) -> None:
    worker = workers.start()
    job_id = await desk.enqueue(FileImageProcess(file_path=str(noise)), timeout=3000, attempts=1)
    child = await at_work(worker, noise.parent)
    child.suspend()  # so that it cannot be done in time
    record = await desk.end(job_id, PROCESS)
    assert record.state is State.FAILED
    assert record.failed_reason == "timed out after 3 s"
    await eventually(lambda: not psutil.Process(worker.process.pid).children(), what="the process ended")
    assert not (noise.parent / "processed").exists() or not list((noise.parent / "processed").iterdir())


async def test_a_process_that_dies_by_itself_fails_its_attempt_alone(desk: Desk, workers: Workers, noise: Path) -> None:
    worker = workers.start()
    job_id = await desk.enqueue(FileImageProcess(file_path=str(noise)), attempts=1)
    child = await at_work(worker, noise.parent)
    child.send_signal(signal.SIGKILL)  # as the kernel does where memory is short
    record = await desk.end(job_id, PROCESS)
    assert record.state is State.FAILED
    assert "the process that did the work ended by itself" in record.failed_reason
    assert worker.alive
    assert list((noise.parent / "processed").iterdir()) == []
