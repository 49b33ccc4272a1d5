"""Handlers that write down when they start, end and are cancelled, each in one write that no SIGKILL takes back."""

import json
import os
import time
from typing import Any

import anyio

from chaosjobs.v1.chaosjobs_pb2 import SerialTrial, SlotTrial, Trial, TrialResult
from workers.context import JobContext
from workers.handlers import handles
from workers.outcomes import Snooze

HISTORY = "CHAOS_HISTORY"
"""The file."""
AHEAD = "CHAOS_CLOCK_AHEAD"
"""By how many seconds this host's clock has been set ahead of the store's."""


@handles(Trial)
async def trial(payload: Trial, job: JobContext) -> TrialResult:
    return await _witnessed(payload, job)


@handles(SerialTrial)
async def serial_trial(payload: SerialTrial, job: JobContext) -> TrialResult:
    return await _witnessed(Trial(run_ms=payload.run_ms), job)


@handles(SlotTrial)
async def slot_trial(payload: SlotTrial, job: JobContext) -> TrialResult:
    return await _witnessed(Trial(run_ms=payload.run_ms), job)


async def _witnessed(payload: Trial, job: JobContext) -> TrialResult:
    file = os.open(os.environ[HISTORY], os.O_WRONLY | os.O_APPEND)
    try:
        _write(file, job, "started")
        try:
            result = await _run(payload, job)
        except anyio.get_cancelled_exc_class():
            _write(file, job, "cancelled")
            raise
        except Exception:
            _write(file, job, "raised")
            raise
        _write(file, job, "returned")
        return result
    finally:
        os.close(file)


async def _run(payload: Trial, job: JobContext) -> TrialResult:
    if payload.snooze_ms and job.starts == 1:
        raise Snooze(payload.snooze_ms / 1000, "told to snooze")
    for _ in range(payload.lines):
        await anyio.sleep(payload.run_ms / payload.lines / 1000)
        await job.say(f"start {job.starts}")
    if not payload.lines:
        await anyio.sleep(payload.run_ms / 1000)
    if job.attempt <= payload.fail_times:
        raise RuntimeError(f"attempt {job.attempt} was told to fail")
    return TrialResult(starts=job.starts)


def _write(file: int, job: JobContext, what: str) -> None:
    at = (time.time() - float(os.environ.get(AHEAD, "0"))) * 1000
    told: dict[str, Any] = {"kind": "run", "what": what, "at": at, "pid": os.getpid()}
    told |= {"queue": job.queue, "job": job.job_id, "start": job.starts}
    os.write(file, json.dumps(told).encode() + b"\n")
