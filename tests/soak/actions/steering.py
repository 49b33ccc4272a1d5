"""Those who change what is there: single jobs, many at once, and queues."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.soak.actions.enqueues import WORK, begun
from tests.soak.callers import Caller, action

LATER = 600_000
"""Milliseconds that a job is put off for, so that it is still there."""
CHANGED = frozenset({400, 404, 409})
"""The job has moved on meanwhile."""


@action(2)
async def changes_one(caller: Caller) -> None:
    job = await begun(caller, delay=LATER)
    path = f"queue/{WORK}/jobs/{job.job_id}"
    if caller.chance.random() < 0.5:
        await caller.call("POST", f"{path}/promote", {"reason": "soon"}, refusals=CHANGED)
    await caller.call("POST", f"{path}/cancel", {}, refusals=CHANGED)
    await caller.call("POST", f"{path}/retry", {}, refusals=CHANGED)
    await caller.call("DELETE", path, refusals=CHANGED)


@action(1)
async def changes_many(caller: Caller) -> None:
    ids = [(await begun(caller, delay=LATER)).job_id for _ in range(5)]
    for act in caller.chance.sample(["promote", "cancel", "retry", "delete"], 4):
        await caller.call("POST", f"queue/{WORK}/jobs:{act}", {"jobIds": [*ids, "nobody"]})
    await caller.call("POST", f"queue/{WORK}/jobs:cancel", {"jobIds": ids})


@action(0.5)
async def changes_what_matches(caller: Caller) -> None:
    for act, state in ("retry", "FAILED"), ("cancel", "DELAYED"), ("delete", "COMPLETED"):
        asked = {"filter": {"states": [f"JOB_STATE_{state}"], "createdBy": caller.user}}
        await caller.call("POST", f"queue/{WORK}/jobs:{act}", {**asked, "validateOnly": caller.chance.random() < 0.3})


@action(0.5)
async def cleans(caller: Caller) -> None:
    await caller.call("POST", f"queue/{WORK}/clean", {"grace": 1000})


@contextlib.asynccontextmanager
async def _paused(caller: Caller, queue: str) -> AsyncIterator[None]:
    await caller.call("POST", f"queue/{queue}/pause", {"reason": "the soak"})
    try:
        yield
    finally:
        await caller.call("POST", f"queue/{queue}/resume", {})


@action(0.2)
async def pauses(caller: Caller) -> None:
    for queue in WORK, "test:serial", "email:send":
        async with _paused(caller, queue):
            await asyncio.sleep(caller.chance.uniform(0, 0.3))


@action(0.5)
async def limits(caller: Caller) -> None:
    """And takes the limits away again."""
    for asked in (20, 1000), (1, 0):
        most, rate = asked
        body = {"maxActive": most, "rate": {"max": rate, "periodMs": 1000 if rate else 0}}
        await caller.call("PATCH", "queue/test:serial", body, refusals={409})
