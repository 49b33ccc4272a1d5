"""Handlers of the test job types."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.to_thread
from taskiq import TaskiqDepends

from base.resources import provides
from base.settings import Settings
from testjobs.v1.testjobs_pb2 import Mark, Noop, NoopResult, Script, ScriptResult, Secret, Serial, Step
from workers.context import JobContext
from workers.handlers import handles
from workers.outcomes import FailForGood, RetryAfter, Snooze


class Kit:
    """What the jobs of a worker share, as those of the project share a sender or a database. Benchmarks run such jobs."""


@provides(Kit)
async def kit(_settings: Settings, _store: Any) -> AsyncIterator[Kit]:
    yield Kit()


Shared = Annotated[Kit, TaskiqDepends(kit)]


@handles(Noop)
async def noop(_payload: Noop, _job: JobContext, _kit: Shared) -> NoopResult:
    return NoopResult()


@handles(Script)
async def script(payload: Script, job: JobContext) -> ScriptResult:
    result = ScriptResult(starts=job.starts)
    for step in payload.steps:
        await _take(step, job, result)
    return result


async def _take(step: Step, job: JobContext, result: ScriptResult) -> None:
    match step.WhichOneof("step"):
        case "sleep":
            await anyio.sleep(step.sleep / 1000)
        case "block":
            await anyio.to_thread.run_sync(time.sleep, step.block / 1000)
        case "progress":
            await job.progress(step.progress)
        case "log":
            await job.say(step.log)
        case "fail_times" if job.attempt <= step.fail_times:
            raise RuntimeError(f"attempt {job.attempt} was told to fail")
        case "fail_for_good":
            raise FailForGood(step.fail_for_good)
        case "retry_after" if job.attempt == 1:
            raise RetryAfter(step.retry_after / 1000, "told to retry")
        case "snooze" if job.starts == 1:
            raise Snooze(step.snooze / 1000, "told to snooze")
        case "checkpoint":
            await job.checkpoint(step.checkpoint.encode())
            result.checkpoint += job.checkpoint_data.decode()
        case "touch":
            _append(step.touch, f"{job.job_id} {job.attempt} {job.starts}")
        case "crash" if step.crash and job.starts == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case "answer":
            result.pad = "x" * step.answer


@handles(Secret)
async def secret(payload: Secret, job: JobContext) -> NoopResult:
    if not payload.token or not all(part.pin for part in payload.parts):
        raise FailForGood("the secrets did not arrive")
    if job.attempt <= payload.fail_times:
        raise RuntimeError(f"attempt {job.attempt} was told to fail")
    return NoopResult()


@handles(Serial)
async def serial(payload: Serial, job: JobContext) -> NoopResult:
    if payload.touch:
        _append(payload.touch, f"{job.job_id} start")
    await anyio.sleep(payload.sleep / 1000)
    if payload.touch:
        _append(payload.touch, f"{job.job_id} end")
    return NoopResult()


@handles(Mark)
async def mark(payload: Mark, _job: JobContext, _kit: Shared) -> NoopResult:
    started = time.monotonic_ns()
    with Path(payload.file).open("r+b") as file:
        os.pwrite(file.fileno(), started.to_bytes(8, sys.byteorder), 8 * payload.place)
    return NoopResult()


def _append(path: str, line: str) -> None:
    """One write, so that the lines of several workers do not mix."""
    with Path(path).open("a") as file:
        file.write(line + "\n")
