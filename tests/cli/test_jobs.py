"""`qjobs job` and `qjobs dead`."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from qcollector.jobs.v1.job_actions_pb2 import DeleteJobRequest
from qcollector.jobs.v1.queue_requests_pb2 import ListQueueStatsRequest
from rich.progress import Progress, TaskID
from testjobs.v1.testjobs_pb2 import Noop, Script, ScriptResult, Secret, Serial, Step

from cli.exits import Exit
from cli.output.screen import Screen
from contract.errors import StoreUnavailableError
from engine import bulk
from engine.inspection import Inspection
from engine.jobs import JobPage, JobRecord
from engine.steering import Steering
from tests.cli.conftest import Qjobs, Running, Terminal, Worker, qjobs_at, succeeded
from tests.conftest import eventually

WORK = "test:work"


@pytest.mark.families
async def test_a_job_is_enqueued_from_json_a_file_and_single_values(qjobs: Qjobs, tmp_path: Path) -> None:
    told = succeeded(await qjobs("job", "enqueue", WORK, "noop", "--data", '{"pad": "a"}', "--id", "one")).out
    assert told.startswith("test:work/one is enqueued and waiting")
    assert (
        "was there already"
        in succeeded(await qjobs("job", "enqueue", WORK, "noop", "-d", '{"pad": "a"}', "--id", "one")).out
    )
    (tmp_path / "data.json").write_text('{"pad": "b"}')
    other = await qjobs(
        "job", "enqueue", WORK, "noop", "--data", f"@{tmp_path}/data.json", "--delay", "10m", "-o", "json"
    )
    assert succeeded(other).json["state"] == "JOB_STATE_DELAYED"
    mail = ("--set", "user.email=ada@example.com", "--set", "user.id=7", "--priority", "5", "--quiet")
    job_id = succeeded(await qjobs("job", "enqueue", "email:send", "welcome", *mail)).out.strip()
    shown = succeeded(await qjobs("job", "show", "email:send", job_id, "-o", "json")).json
    assert shown["payload"]["emailWelcome"]["user"]["email"] == "ada@example.com"
    assert shown["priority"] == 5


async def test_a_backoff_of_its_own_is_kind_wait_and_the_share_left_to_chance(qjobs: Qjobs) -> None:
    async def backoff(typed: str) -> dict[str, object]:
        said = succeeded(
            await qjobs("job", "enqueue", WORK, "noop", "--attempts", "4", "--backoff", typed, "-o", "json")
        )
        options = said.json["options"]
        assert options["attempts"] == 4
        found: dict[str, object] = options["backoff"]
        return found

    assert await backoff("exponential:2s:20%") == {"type": "exponential", "delay": 2000, "jitter": 0.2}
    assert await backoff("30s") == {"type": "fixed", "delay": 30_000, "jitter": 0}
    for wrong in ("exponential", "2", "linear:2s", "2s:20", "exponential:2s:20%:1"):
        refused = await qjobs("job", "enqueue", WORK, "noop", "--backoff", wrong)
        assert (refused.status, "exponential:2s" in refused.err) == (Exit.USAGE, True)
    assert (await qjobs("job", "enqueue", WORK, "noop", "--backoff", "2d")).status == Exit.INVALID


async def test_a_dry_run_checks_everything_and_enqueues_nothing(qjobs: Qjobs) -> None:
    assert "Valid" in succeeded(await qjobs("job", "enqueue", WORK, "noop", "--dry-run")).out
    assert succeeded(await qjobs("job", "list", WORK, "-o", "json")).json == []


@pytest.mark.families
async def test_a_refusal_names_each_field_on_a_line_of_its_own(qjobs: Qjobs) -> None:
    refused = await qjobs("job", "enqueue", "email:send", "welcome", "--data", '{"user": {"emial": "x"}}')
    assert refused.status == Exit.INVALID
    assert any(line.startswith("  data.user.emial: ") for line in refused.err.splitlines())
    assert (await qjobs("job", "enqueue", WORK, "noop", "--data", "{")).status == Exit.USAGE
    assert (await qjobs("job", "enqueue", WORK, "noop", "--data", "[1]")).status == Exit.USAGE
    assert (await qjobs("job", "enqueue", WORK, "noop", "--data", "@/no/such")).status == Exit.USAGE
    deep = '{"a":' * 200 + "1" + "}" * 200
    assert (await qjobs("job", "enqueue", WORK, "noop", "--data", deep)).status == Exit.USAGE


async def test_waiting_ends_with_the_job_and_says_how_it_went(qjobs: Qjobs, worker: Worker, service: Running) -> None:
    good = asyncio.create_task(qjobs("job", "enqueue", WORK, "script", "--set", 'steps=[{"answer": 1}]', "--wait"))
    await _claimable(service)
    job = await worker.start()
    await worker.say(job, 40, ("note", "half way"))
    await worker.end(job, ScriptResult(pad="x"))
    said = await asyncio.wait_for(good, 20)
    assert said.status == Exit.OK
    assert re.search(r"^test:work/\S+ completed after ", said.out, re.MULTILINE)
    bad = asyncio.create_task(qjobs("job", "enqueue", WORK, "noop", "--wait", "-o", "json"))
    await _claimable(service)
    await worker.run(reason="no good")
    said = await asyncio.wait_for(bad, 20)
    assert said.status == Exit.FAILED
    assert said.json["failedReason"] == "no good"


async def test_a_job_is_found_in_whatever_queue_it_is(qjobs: Qjobs, service: Running) -> None:
    job_id = await service.admin.enqueue(Noop(pad="x"))
    for words in ((job_id,), (WORK, job_id), ("-q", WORK, job_id)):
        assert succeeded(await qjobs("job", "show", *words, "-o", "json")).json["id"] == job_id
    assert "State:" in succeeded(await qjobs("job", "show", job_id)).out
    assert (await qjobs("job", "show", "nothing")).status == Exit.NOT_FOUND
    assert (await qjobs("job", "show", WORK, "nothing")).status == Exit.NOT_FOUND


@pytest.mark.families
async def test_lists_cross_pages_and_queues_and_tell_that_they_go_on(qjobs: Qjobs, service: Running) -> None:
    ids = [await service.admin.enqueue(Noop(), job_id=f"n{number:03}") for number in range(7)]
    first = succeeded(await qjobs("job", "list", WORK, "--limit", "3"))
    assert first.out.count("waiting") == 3
    assert "--limit" in first.err
    assert "--limit" not in succeeded(await qjobs("job", "list", WORK, "--limit", "7")).err
    for name, payload in (("other", Serial()), ("again", Noop())):
        ids.append(await service.admin.enqueue(payload, job_id=name))
    for order, expected in (("newest", ids[::-1]), ("oldest", ids)):
        listed = succeeded(await qjobs("job", "list", "--limit", "0", "-o", "jsonl", "--order", order)).lines
        assert [job["id"] for job in listed] == expected
    assert succeeded(await qjobs("job", "list", "--type", "welcome", "-o", "json")).json == []
    assert len(succeeded(await qjobs("job", "list", "--text", "n00", "--after", "1h", "-o", "yaml")).yaml) == 7


async def test_a_search_of_all_queues_is_one_walk_that_tells_how_far_it_has_come(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.walking.LOOKED_AT", 2)
    monkeypatch.setattr("engine.pages._STEPS", 1)
    walked: list[int] = []
    page = Inspection.page

    async def noted(self: Inspection, queue: str | Sequence[str], *rest: Any) -> JobPage:
        walked.append(len(queue))
        return await page(self, queue, *rest)

    monkeypatch.setattr(Inspection, "page", noted)
    for number in range(40):
        await service.admin.enqueue((Noop, Serial)[number % 2](), job_id=f"n{number:02}")
    shown: list[str] = []
    update = Progress.update

    def told(self: Progress, task: TaskID, **changes: Any) -> None:
        shown.append(changes.get("note", ""))
        update(self, task, **changes)

    monkeypatch.setattr(Progress, "update", told)
    at_terminal = qjobs_at(f"127.0.0.1:{service.service.port}", out=Terminal)
    said = succeeded(await at_terminal("job", "list", "--text", "n00", "-o", "jsonl"))
    assert [job["id"] for job in said.lines] == ["n00"]
    assert any("jobs looked at" in note for note in shown)
    assert len(walked) > 5
    assert set(walked) == {len((await service.admin.jobs.ListQueueStats(ListQueueStatsRequest())).queues)}


async def test_single_jobs_are_cancelled_retried_promoted_and_removed(qjobs: Qjobs, service: Running) -> None:
    job_id = await service.admin.enqueue(Noop(), delay=600_000)
    assert "waiting" in succeeded(await qjobs("job", "promote", job_id)).out
    assert "cancelled" in succeeded(await qjobs("job", "cancel", WORK, job_id, "--reason", "late")).out
    assert succeeded(await qjobs("job", "show", job_id, "-o", "json")).json["failedReason"] == "late"
    assert (await qjobs("job", "promote", job_id)).status == Exit.CONFLICT
    assert "waiting" in succeeded(await qjobs("job", "retry", job_id)).out
    assert "Removed" in succeeded(await qjobs("job", "remove", job_id)).out
    assert (await qjobs("job", "remove", WORK, job_id)).status == Exit.NOT_FOUND


async def test_a_bulk_action_counts_first_and_wants_a_yes(qjobs: Qjobs, service: Running) -> None:
    for _ in range(5):
        await service.admin.enqueue(Noop(), delay=600_000)
    refused = await qjobs("job", "cancel", WORK, "--state", "delayed")
    assert refused.status == Exit.USAGE
    assert "Cancel 5 jobs of test:work?" in refused.err
    assert len(succeeded(await qjobs("job", "list", WORK, "--state", "delayed", "-o", "json")).json) == 5
    report = succeeded(await qjobs("job", "cancel", WORK, "--state", "delayed", "--yes", "-o", "json")).json
    assert report == [{"queueName": WORK, "matched": 5, "changed": 5, "failures": []}]
    assert "No job matches" in succeeded(await qjobs("job", "cancel", WORK, "--all", "--yes")).out
    assert "Removed 5 jobs" in succeeded(await qjobs("job", "remove", WORK, "--all", "--yes")).out
    assert (await qjobs("job", "remove", WORK)).status == Exit.USAGE
    assert (await qjobs("job", "remove", WORK, "x", "--all")).status == Exit.USAGE


async def test_a_bulk_action_goes_on_until_none_is_left_and_reports_the_sum(
    qjobs: Qjobs, service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_CHUNK", 2)
    monkeypatch.setattr(bulk, "LOOK_LIMIT", 2)
    for _ in range(5):
        await service.admin.enqueue(Noop())
    asked = await qjobs("job", "cancel", WORK, "--all", "--reason", "over")
    assert "Cancel at least 2 jobs of test:work?" in asked.err
    said = succeeded(await qjobs("job", "cancel", WORK, "--all", "--reason", "over", "--yes", "-o", "json")).json
    assert said == [{"queueName": WORK, "matched": 5, "changed": 5, "failures": []}]
    found = succeeded(await qjobs("job", "list", WORK, "-o", "json")).json
    assert [job["failedReason"] for job in found] == ["over"] * 5
    ids = [job["id"] for job in found[:2]]
    assert "Retried 2 jobs" in succeeded(await qjobs("job", "retry", WORK, *ids, "--reason", "not over")).out


async def test_a_bulk_action_that_breaks_off_reports_what_it_has_done(
    qjobs: Qjobs, service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_CHUNK", 2)
    monkeypatch.setattr(bulk, "LOOK_LIMIT", 2)
    for _ in range(5):
        await service.admin.enqueue(Noop())
    change, calls = Steering.change_many, []

    async def break_at_the_third(self: Steering, *args: Any, **more: Any) -> bulk.BulkResult:
        calls.append(more)
        if len([call for call in calls if not call["validate_only"]]) == 3:
            raise StoreUnavailableError("The store is away.", retry_after=1)
        return await change(self, *args, **more)

    monkeypatch.setattr(Steering, "change_many", break_at_the_third)
    said = await qjobs("job", "cancel", WORK, "--all", "--yes")
    assert said.status == Exit.UNAVAILABLE
    assert "Cancelled 4 jobs of test:work." in said.out
    assert len(succeeded(await qjobs("job", "list", WORK, "--state", "waiting", "-o", "json")).json) == 1


async def test_an_answer_other_than_yes_changes_nothing(qjobs: Qjobs, service: Running, monkeypatch) -> None:
    await service.admin.enqueue(Noop())
    asked = []

    def no(screen: Screen, question: str, *, yes: bool) -> None:
        asked.append((question, yes))
        raise_declined()

    monkeypatch.setattr(Screen, "confirm", no)
    assert (await qjobs("job", "remove", WORK, "--all")).status == Exit.INTERRUPTED
    assert asked == [("Remove 1 job of test:work?", False)]
    assert len(succeeded(await qjobs("job", "list", WORK, "-o", "json")).json) == 1


def raise_declined() -> None:
    from cli.exits import CommandError  # noqa: PLC0415

    raise CommandError("Nothing was changed.", Exit.INTERRUPTED)


async def test_several_ids_are_reported_and_one_that_was_left_makes_it_a_failure(
    qjobs: Qjobs, service: Running
) -> None:
    ids = [await service.admin.enqueue(Noop()) for _ in range(2)]
    said = await qjobs("job", "cancel", WORK, *ids, "gone")
    assert said.status == Exit.FAILED
    assert "Cancelled 2 jobs of test:work." in said.out
    assert "gone: " in said.err


async def test_watching_prints_each_change_and_ends_with_the_job(
    qjobs: Qjobs, worker: Worker, service: Running
) -> None:
    job_id = await service.admin.enqueue(Script(steps=[Step(answer=1)]))
    lines = asyncio.create_task(qjobs("job", "watch", job_id))
    events = asyncio.create_task(qjobs("job", "watch", WORK, job_id, "-o", "jsonl"))
    job = await worker.start()
    await worker.say(job, 40, ("note", "half way"))
    await worker.end(job, ScriptResult(pad="x"))
    seen, told = await asyncio.wait_for(events, 20), await asyncio.wait_for(lines, 20)
    assert (seen.status, told.status) == (Exit.OK, Exit.OK)
    assert seen.lines[-1]["end"]["state"] == "JOB_STATE_COMPLETED"
    assert re.search(r"^test:work/\S+ completed after ", told.out, re.MULTILINE)
    assert (await qjobs("job", "watch", WORK, "nothing")).status == Exit.NOT_FOUND


async def test_watching_a_job_that_somebody_deletes_says_so(
    qjobs: Qjobs, service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, look = asyncio.Event(), Inspection.snapshot

    async def look_and_tell(self: Inspection, queue: str, job_id: str) -> tuple[JobRecord | None, str]:
        found = await look(self, queue, job_id)
        begun.set()
        return found

    monkeypatch.setattr(Inspection, "snapshot", look_and_tell)
    job_id = await service.admin.enqueue(Noop())
    watching = asyncio.create_task(qjobs("job", "watch", job_id))
    await begun.wait()
    await service.admin.jobs.DeleteJob(DeleteJobRequest(queue_name=WORK, job_id=job_id))
    said = await asyncio.wait_for(watching, 20)
    assert (said.status, "was deleted before it had ended" in said.err) == (Exit.NOT_FOUND, True)


async def test_logs_are_shown_and_followed_without_a_line_twice(qjobs: Qjobs, worker: Worker, service: Running) -> None:
    job_id = await service.admin.enqueue(Noop())
    job = await worker.start()
    await worker.say(job, 10, ("log", "first"))
    followed = asyncio.create_task(qjobs("job", "logs", job_id, "--follow", "-o", "jsonl"))
    await worker.say(job, 20, ("log", "second"))
    await worker.end(job)
    said = await asyncio.wait_for(followed, 20)
    assert [line["message"] for line in said.lines][:1] == ["first"]
    assert len({line["message"] for line in said.lines}) == len(said.lines)
    assert "first" in succeeded(await qjobs("job", "logs", job_id)).out


async def test_dead_letters_are_listed_retried_and_removed_over_all_queues(
    qjobs: Qjobs, worker: Worker, service: Running
) -> None:
    dead = [await service.admin.enqueue(Noop()) for _ in range(3)]
    for _ in dead:
        await worker.run(reason="no good")
    alive = await service.admin.enqueue(Noop())
    assert {job["id"] for job in succeeded(await qjobs("dead", "list", "-o", "json")).json} == set(dead)
    assert "no good" in succeeded(await qjobs("dead", "show", dead[0])).out
    assert (await qjobs("dead", "show", alive)).status == Exit.CONFLICT
    assert (await qjobs("dead", "remove", alive)).status == Exit.CONFLICT
    succeeded(await qjobs("dead", "retry", dead[0]))
    assert "Retried 2 jobs" in succeeded(await qjobs("dead", "retry", "--type", "noop", "--yes")).out
    assert "No job matches" in (await qjobs("dead", "list")).err


async def test_a_user_is_denied_what_administrators_may(service: Running, monkeypatch) -> None:
    from tests.service.conftest import token  # noqa: PLC0415

    monkeypatch.setenv("QJOBS_TOKEN", token(role="general_user"))
    as_user = qjobs_at(f"127.0.0.1:{service.service.port}")
    assert (await as_user("queue", "pause", WORK)).status == Exit.DENIED
    monkeypatch.setenv("QJOBS_TOKEN", "nonsense")
    refused = await as_user("stats")
    assert refused.status == Exit.DENIED
    assert "nonsense" not in refused.err


async def test_what_is_sensitive_is_not_shown(qjobs: Qjobs, service: Running) -> None:
    job_id = await service.admin.enqueue(Secret(token="hush-hush", name="open"))
    for format_ in ("table", "json", "yaml"):
        shown = succeeded(await qjobs("job", "show", job_id, "-o", format_)).out
        assert "open" in shown
        assert "hush-hush" not in shown


async def _claimable(service: Running) -> None:
    async def waits() -> bool:
        stats = await service.admin.jobs.GetQueueStats(_stats_request())
        return bool(stats.stats.counts.waiting)

    await eventually(waits, what="a job waits")


def _stats_request():
    from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest  # noqa: PLC0415

    return GetQueueStatsRequest(queue_name=WORK)
