"""One job of the project's own families, run by a worker process with its default settings."""

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions

from base.storage import StorageRoots
from bench.machine import cpu_seconds, peak_megabytes
from bench.own import Own
from bench.processes import ProgramFailedError
from contract.admission import Admission, Origin
from contract.catalog import load_catalog
from engine.inspection import Inspection
from engine.intake import Intake
from engine.jobs import JobRecord, State
from engine.presence import Presence

CALLER: Final = Caller(id="bench", name="Bench", role="service")
START_SECONDS: Final = 30
JOB_SECONDS: Final = 300
_LOOK_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Ran:
    """What became of a job, and what its worker took for it."""

    result: Any
    seconds: float
    """From its start to its end."""
    cpu: float
    """Seconds, of the worker alone."""
    megabytes: float
    """The most that the process ever had."""


async def run_job(own: Own, payload: Message) -> Ran:
    """Starts a worker for the payload's queue, and runs one job on it.

    Raises:
      ProgramFailedError: the job did not complete.
    """
    catalog = load_catalog(())
    job_type = catalog.by_message(payload.DESCRIPTOR.full_name)
    StorageRoots(own.settings).prepare()
    worker = await own.processes.start(
        "worker", sys.executable, "-m", "stack.cli", "worker", "--queues", job_type.queue
    )
    await _at_work(Presence(own.store), worker.pid)
    before = cpu_seconds([worker.pid])
    admitted = Admission(catalog, own.settings).admit_payload(payload, JobOptions(), Origin(CALLER))
    job_id = (await Intake(own.store, own.settings).enqueue(admitted.job)).id
    record = await _ended(Inspection(own.store, {}), job_type.queue, job_id)
    if record.state is not State.COMPLETED:
        raise ProgramFailedError(f"{job_type.key} {record.state.name.lower()}: {record.failed_reason}")
    return Ran(
        result=job_type.result.FromString(record.result),
        seconds=(record.finished - record.started) / 1000,
        cpu=cpu_seconds([worker.pid]) - before,
        megabytes=peak_megabytes(worker.pid),
    )


async def _at_work(presence: Presence, pid: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while pid not in {worker.pid for worker in await presence.workers()}:
        if time.monotonic() > deadline:
            raise ProgramFailedError("the worker did not report")
        await asyncio.sleep(_LOOK_SECONDS)


async def _ended(inspection: Inspection, queue: str, job_id: str) -> JobRecord:
    deadline = time.monotonic() + JOB_SECONDS
    while True:
        record = await inspection.get(queue, job_id)
        assert record is not None, "it was enqueued just now"
        if record.state.finished:
            return record
        if time.monotonic() > deadline:
            raise ProgramFailedError(f"{queue}/{job_id} did not end within {JOB_SECONDS} s")
        await asyncio.sleep(_LOOK_SECONDS)
