"""`qjobs schedule`."""

from cli.exits import Exit
from tests.cli.conftest import Qjobs, succeeded

NOOP = ("test:work", "noop")


async def test_a_schedule_is_made_shown_changed_fired_and_deleted(qjobs: Qjobs) -> None:
    told = succeeded(
        await qjobs(
            "schedule", "create", "nightly", "0 3 * * *", *NOOP, "--timezone", "Europe/Berlin", "--priority", "4"
        )
    ).out
    assert "nightly is there" in told
    assert (await qjobs("schedule", "create", "nightly", "0 3 * * *", *NOOP)).status == Exit.CONFLICT
    listed = succeeded(await qjobs("schedule", "list", "-o", "json")).json
    assert "nightly" in [one["name"] for one in listed]
    succeeded(await qjobs("schedule", "update", "nightly", "--cron", "30 4 * * *", "--data", '{"pad": "x"}'))
    shown = succeeded(await qjobs("schedule", "show", "nightly", "-o", "json")).json
    assert (shown["cron"], shown["timezone"], shown["options"]["priority"]) == ("30 4 * * *", "Europe/Berlin", 4)
    assert shown["payload"]["custom"]["pad"] == "x"
    for typed, jitter in (("exponential:2s:20%", 0.2), ("2s", 0)):
        succeeded(await qjobs("schedule", "update", "nightly", "--data", "{}", "--backoff", typed))
        shown = succeeded(await qjobs("schedule", "show", "nightly", "-o", "json")).json
        assert shown["options"]["backoff"]["jitter"] == jitter
    assert "Paused:" in succeeded(await qjobs("schedule", "show", "nightly")).out
    succeeded(await qjobs("schedule", "pause", "nightly"))
    succeeded(await qjobs("schedule", "resume", "nightly"))
    job_id = succeeded(await qjobs("schedule", "trigger", "nightly", "--quiet")).out.strip()
    assert job_id in succeeded(await qjobs("schedule", "runs", "nightly")).out
    named = ("schedule", "trigger", "nightly", "--quiet", "--request-id", "r-1")
    assert succeeded(await qjobs(*named)).out == succeeded(await qjobs(*named)).out
    assert (await qjobs("schedule", "delete", "nightly")).status == Exit.USAGE
    succeeded(await qjobs("schedule", "delete", "nightly", "--yes"))
    assert (await qjobs("schedule", "show", "nightly")).status == Exit.NOT_FOUND


async def test_options_alone_are_refused_since_the_job_is_replaced_as_a_whole(qjobs: Qjobs) -> None:
    succeeded(await qjobs("schedule", "create", "nightly", "0 3 * * *", *NOOP))
    assert (await qjobs("schedule", "update", "nightly", "--priority", "3")).status == Exit.USAGE


async def test_a_preview_tells_the_words_and_the_times(qjobs: Qjobs) -> None:
    told = succeeded(await qjobs("schedule", "preview", "0 3 * * 1", "--count", "3")).out.splitlines()
    assert "03:00" in told[0]
    assert len(told) == 4
    wrong = await qjobs("schedule", "preview", "99 * * * *")
    assert wrong.status == Exit.INVALID
    assert "cron" in wrong.err
