"""What an operator does by REST alone, on a whole stack: dead letters, schedules, and the mails that tell of failures."""

import email
import email.policy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import eventually
from tests.stack.running import RunningStack, environment
from tests.workers.test_recurring import DOCUMENTED

OPERATOR = "ops@example.com"
ENDLESS = 10**9  # windows begin by the clock, and a test must not see two of them
SCHEDULES = "/api/v1/schedules"
NIGHTLY = {
    "name": "nightly",
    "cron": "0 2 * * *",
    "job": {"queueName": "test:work", "jobType": "noop", "data": {}, "options": {"priority": 4}},
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home = tmp_path_factory.mktemp("operating") / "data"
    started = RunningStack(home, environment(home, ALERT_EMAIL=OPERATOR, ALERT_WINDOW_MINUTES=ENDLESS))
    started.start()
    yield started
    started.discard()


@pytest.fixture
async def ready(stack: RunningStack) -> RunningStack:
    await stack.ready()
    return stack


def answer(stack: RunningStack, method: str, path: str, body: Any = None) -> Any:
    status, said = stack.call(method, path, body)
    assert status == 200, said
    return said


async def ended(stack: RunningStack, queue: str, job_id: str, state: str) -> None:
    await eventually(lambda: stack.state(queue, job_id) == state, what=f"{job_id} is {state}")


async def test_dead_letters_are_found_understood_retried_and_removed(ready: RunningStack, tmp_path: Path) -> None:
    lacking = tmp_path / "lacking"
    script = {"steps": [{"touch": str(lacking / "touched")}]}
    mark = {"file": str(lacking / "marks"), "place": 0}
    wanted = {ready.enqueue("test:work", "script", script, attempts=1): "script" for _ in range(3)}
    wanted[ready.enqueue("test:work", "mark", mark)] = "mark"
    for job_id in wanted:
        await ended(ready, "test:work", job_id, "FAILED")

    def dead(query: str = "") -> dict[str, str]:
        page = answer(ready, "GET", f"test:work/jobs?states=JOB_STATE_FAILED&orderBy=state{query}")
        return {job["id"]: job["jobType"] for job in page["jobs"]}

    def retry(filtered: dict[str, Any], **more: bool) -> int:
        said = answer(ready, "POST", "test:work/jobs:retry", {"filter": filtered, **more})
        assert not said["failures"]
        return int(said["matched"])

    assert dead() == wanted
    assert set(dead("&jobType=mark").values()) == {"mark"}
    assert answer(ready, "GET", "test:work/stats")["counts"]["failed"] == len(wanted)
    one, *others = (job_id for job_id, word in wanted.items() if word == "script")
    letter = ready.job("test:work", one)
    assert "No such file" in letter["failedReason"]
    assert letter["payload"]["custom"]["steps"] == script["steps"]

    lacking.mkdir()
    answer(ready, "POST", f"test:work/jobs/{one}/retry", {})
    await ended(ready, "test:work", one, "COMPLETED")
    assert len(dead()) == 3

    assert retry({"jobType": "script"}, validateOnly=True) == 2
    assert len(dead()) == 3
    assert retry({"jobType": "script"}) == 2
    for job_id in others:
        await ended(ready, "test:work", job_id, "COMPLETED")
    (left,) = dead()
    assert wanted[left] == "mark"

    answer(ready, "DELETE", f"test:work/jobs/{left}")
    assert dead() == {}
    assert ready.call("GET", f"test:work/jobs/{left}")[0] == 404


async def test_the_seven_schedules_are_there_from_the_start(ready: RunningStack) -> None:
    def seeded() -> dict[str, Any]:
        return {one["name"]: one for one in answer(ready, "GET", SCHEDULES)["schedules"]}

    await eventually(lambda: seeded().keys() >= DOCUMENTED.keys(), what="the schedules are seeded")
    found = {
        name: (one["cron"], f"{one['queueName']}/{one['jobType']}", one["options"]["priority"])
        for name, one in seeded().items()
        if name in DOCUMENTED
    }
    assert found == DOCUMENTED
    assert all(len(one["nextTimes"]) == 5 for one in seeded().values())


async def test_a_schedule_lives_its_whole_life(ready: RunningStack) -> None:
    status, refusal = ready.call("POST", SCHEDULES, NIGHTLY | {"cron": "0 25 * * *"})
    (violation,) = (v for detail in refusal["details"] for v in detail.get("fieldViolations", ()))
    assert (status, violation["field"]) == (400, "cron")
    assert "hour" in violation["description"]

    assert answer(ready, "POST", SCHEDULES, NIGHTLY)["schedule"]["cronText"] == "At 02:00"
    assert ready.call("POST", SCHEDULES, NIGHTLY)[0] == 409
    path = f"{SCHEDULES}/nightly"
    changed = answer(ready, "PATCH", path, {"cron": "*/15 * * * *", "timezone": "Europe/Berlin"})["schedule"]
    assert (changed["cron"], changed["timezone"]) == ("*/15 * * * *", "Europe/Berlin")
    assert changed["options"]["priority"] == 4
    assert answer(ready, "POST", f"{path}/pause", {})["schedule"]["nextTimes"] == []

    job_id = answer(ready, "POST", f"{path}/trigger", {})["jobId"]
    await ended(ready, "test:work", job_id, "COMPLETED")
    (run,) = answer(ready, "GET", f"{path}/runs")["runs"]
    assert (run["job"]["jobId"], run["state"], run["triggered"]) == (job_id, "JOB_STATE_COMPLETED", True)

    assert len(answer(ready, "POST", f"{path}/resume", {})["schedule"]["nextTimes"]) == 5
    answer(ready, "DELETE", path)
    assert ready.call("GET", path)[0] == 404
    assert ready.call("GET", f"test:work/jobs/{job_id}")[0] == 200


async def test_a_critical_failure_is_mailed_once_for_each_cause(ready: RunningStack) -> None:
    def alerts() -> list[tuple[str, str]]:
        """Recipient and text of each that the mail server was handed, oldest first."""
        files = sorted((ready.home / "outbox").glob("*.eml"), key=lambda path: int(path.stem))
        mails = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in files]
        return [
            (mail["To"], mail.get_body(("plain",)).get_content())  # type: ignore[union-attr]
            for mail in mails
            if mail["Subject"] == "Job failed: system:cleanup/cleanup"
        ]

    async def fail(folder: str) -> str:
        task = {"type": "old_files", "directory": str(ready.home / "uploads" / folder), "maxAge": 0}
        job_id = ready.enqueue("system:cleanup", "cleanup", {"tasks": [task]})
        await ended(ready, "system:cleanup", job_id, "FAILED")
        return job_id

    first = await fail("gone")
    await eventually(lambda: len(alerts()) == 1, what="the first failure is mailed")
    same, other = await fail("gone"), await fail("elsewhere")
    await eventually(lambda: len(alerts()) > 1, what="the other cause is mailed")
    (to, text), (_, later) = alerts()
    assert to == OPERATOR
    assert first in text
    assert "gone is missing" in text
    assert other in later
    assert same not in text + later
    jobs = answer(ready, "GET", "email:send/jobs?text=alert-")["jobs"]
    assert len(jobs) == 2
