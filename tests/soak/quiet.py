"""How a stack becomes idle: what still waits is cancelled, what is paused goes on, and what retention lets go is gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from base.settings import Settings, load, settings_class
from families.exports.retention import remove_expired
from tests.conftest import eventually
from tests.soak.readings import SHARE, Census, Measure, compared, leaks, together
from tests.stack.running import RunningStack

STEADY_SECONDS = 12.0
"""After so long without a fall what is held is taken to stay: no reader and no wait of an idle system lasts longer."""
LONGEST_SECONDS = 120.0
FEWEST_SAMPLES = 5
CLEANUP = [
    {"type": "old_files", "directory": "uploads/soaked", "maxAge": 0, "produced": True},
    {"type": "temp_files", "maxAge": 0},
]


async def idle(stack: RunningStack) -> None:
    """Returns once nothing is left to do, and nothing of what was done is kept."""
    await nothing_to_do(stack)
    await tidy(stack)
    await nothing_to_do(stack)


async def tidy(stack: RunningStack) -> None:
    """What jobs have made is removed, as the schedules and the hours of a longer life would do it."""
    remove_expired(settings_of(stack), time.time())
    body = {"queueName": "system:cleanup", "jobType": "cleanup", "data": {"tasks": CLEANUP}}
    job_id = _done(stack.call("POST", "jobs", body))["jobId"]
    job = _done(stack.call("GET", f"system:cleanup/jobs/{job_id}?waitSeconds=8"))["data"]
    assert job["state"] == "JOB_STATE_COMPLETED", job


def settings_of(stack: RunningStack) -> Settings:
    told = {name.lower(): value for name, value in stack.told.items() if name.lower() in settings_class().model_fields}
    return load(**told)


async def nothing_to_do(stack: RunningStack, *, seconds: float = 180) -> None:
    """Returns once no job is held.

    Raises:
      AssertionError: there still were some.
    """
    queues = [queue["queueName"] for queue in _stats(stack)]
    for queue in queues:
        _done(stack.call("POST", f"{queue}/resume", {}))
        _done(stack.call("POST", f"{queue}/jobs:cancel", {"all": True}))
    held: dict[str, Any] = {}

    def none() -> bool:
        held.clear()
        held.update({queue["queueName"]: counts for queue in _stats(stack) if any((counts := _counts(queue)).values())})
        return not held

    try:
        await eventually(none, seconds=seconds, every=0.5)
    except AssertionError as error:
        raise AssertionError(f"jobs are still held after {seconds} s: {held}") from error


def _stats(stack: RunningStack) -> Any:
    return _done(stack.call("GET", "stats"))["queues"]


def _counts(queue: Any) -> dict[str, int]:
    return {state: int(number) for state, number in queue["counts"].items()}


def _done(answer: tuple[int, Any]) -> Any:
    status, body = answer
    assert status == 200, answer
    return body


async def settled(take: Callable[[], Awaitable[Census]], *, say: Callable[[str], None]) -> Census:
    """What is held while nothing is done, once nothing falls any more."""
    return await _sampled(take, lambda _: False, say)


async def back_at(before: Census, take: Callable[[], Awaitable[Census]], *, say: Callable[[str], None]) -> Census:
    """The same, as soon as it is no more than before."""
    return await _sampled(take, lambda now: not leaks(compared(before, now)), say)


async def _sampled(
    take: Callable[[], Awaitable[Census]], enough: Callable[[Census], bool], say: Callable[[str], None]
) -> Census:
    began = fell = time.monotonic()
    whole = await take()
    while whole.samples < FEWEST_SAMPLES or not enough(whole):
        found = await take()
        now = time.monotonic()
        if _falls(whole, found):
            fell = now
        whole = together(whole, found)
        if whole.samples >= FEWEST_SAMPLES and now - fell >= STEADY_SECONDS:
            break
        if now - began >= LONGEST_SECONDS:
            say(f"something still falls after {LONGEST_SECONDS:.0f} s")
            break
        await asyncio.sleep(0.5)
    return whole


def _falls(whole: Census, now: Census) -> bool:
    """Whether anything is less than ever. Memory always moves a little, and what is usual is not the least."""
    found = now.readings()
    return any(
        found.get(name, (measure, 0.0))[1] < value * (1 - SHARE / 5 if measure is Measure.BYTES else 1)
        for name, (measure, value) in whole.readings().items()
        if measure is not Measure.USUAL
    )
