"""Those who only look: lists, searches, logs, overviews, health, and things that are not there."""

import asyncio

from tests.soak.actions.enqueues import WORK, begun
from tests.soak.callers import Caller, action

STATES = ("WAITING", "DELAYED", "ACTIVE", "COMPLETED", "FAILED", "CANCELLED")


@action(3)
async def lists(caller: Caller) -> None:
    """A few pages of jobs in some states, in some order."""
    chance = caller.chance
    states = [f"JOB_STATE_{state}" for state in chance.sample(STATES, chance.randint(1, 3))]
    order = chance.choice(["", "state"]) if len(states) == 1 else ""
    asked = {"states": states, "pageSize": chance.choice([1, 20, 100]), "orderBy": order}
    token = ""
    for _ in range(3):
        answer = await caller.call("GET", f"queue/{WORK}/jobs", pageToken=token, **asked)
        token = answer.get("nextPageToken", "")
        if not token:
            break


@action(2)
async def searches(caller: Caller) -> None:
    text = caller.chance.choice(["geheim", "it was told to", "nowhere", "soak-"])
    await caller.call("GET", f"queue/{WORK}/jobs", text=text)
    await caller.call("GET", f"queue/{WORK}/jobs", createdBy=caller.user, jobType="script", pageSize=5)


@action(2)
async def looks_at_one(caller: Caller) -> None:
    job = await begun(caller)
    path = f"queue/{WORK}/jobs/{job.job_id}"
    await caller.call("GET", path, refusals={404})
    await caller.call("GET", f"{path}/logs", refusals={404})
    await caller.call("GET", f"{path}/result", refusals={404, 400, 409})


@action(1)
async def looks_for_what_is_not_there(caller: Caller) -> None:
    await caller.call("GET", f"queue/{WORK}/jobs/nobody", refusals={404})
    await caller.call("GET", "queue/no:such/stats", refusals={404})
    await caller.call("GET", f"queue/{WORK}/jobs", noSuchField=1, refusals={400})
    await caller.call("GET", "queue/stats", headers={"authorization": "Bearer nobody"}, refusals={401})


@action(0.5)
async def looks_around(caller: Caller) -> None:
    for path in ("dashboard", "health", "email/health", "workers", "job-types", "stats", f"{WORK}/stats"):
        await caller.call("GET", f"queue/{path}")


@action(1)
async def leaves_in_the_middle(caller: Caller) -> None:
    """A call whose caller hangs up at once."""
    try:
        async with asyncio.timeout(caller.chance.uniform(0, 0.02)):
            await caller.call("GET", f"queue/{WORK}/jobs", pageSize=100, text="x")
    except TimeoutError:
        pass


@action(0.1)
async def many_at_once(caller: Caller) -> None:
    """More than a process lets through to the store: its pool is then as large as it will ever be."""
    calls = (caller.call("GET", f"queue/{WORK}/jobs", pageSize=20) for _ in range(150))
    await asyncio.gather(*calls, *(caller.call("GET", "queue/stats") for _ in range(50)))
