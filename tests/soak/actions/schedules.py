"""Schedules that are made, changed, fired by hand and deleted."""

from tests.soak.callers import Caller, action

JOB = {"queueName": "test:work", "jobType": "noop", "data": {}}


@action(1)
async def a_schedule_of_its_own(caller: Caller) -> None:
    name = f"soak-{caller.chance.getrandbits(48):x}"
    path = f"schedules/{name}"
    made = {"name": name, "cron": caller.chance.choice(["* * * * *", "0 3 * * *"]), "timezone": "UTC", "job": JOB}
    await caller.call("POST", "schedules", made)
    await caller.call("PATCH", path, {"description": "changed"})
    await caller.call("POST", f"{path}/trigger", {"requestId": caller.request_id()})
    await caller.call("POST", f"{path}/pause", {})
    await caller.call("GET", f"{path}/runs")
    await caller.call("POST", f"{path}/resume", {})
    await caller.call("DELETE", path)
    await caller.call("GET", path, refusals={404})


@action(1)
async def looks_at_schedules(caller: Caller) -> None:
    await caller.call("GET", "schedules")
    await caller.call("POST", "schedules:preview", {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "count": 5})
