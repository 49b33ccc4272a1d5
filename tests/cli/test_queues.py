"""`qjobs queue`, `stats`, `health`, `worker` and `type`."""

from dataclasses import replace

import pytest

from base.settings import Settings
from cli.exits import Exit
from contract.catalog import Catalog
from engine.claims import Claims
from engine.store import Store
from tests.cli.conftest import Qjobs, Running, succeeded
from tests.service.conftest import WORK, Noop


@pytest.mark.families
async def test_every_format_lists_the_queues_as_the_contract_has_them(qjobs: Qjobs) -> None:
    table = succeeded(await qjobs("queue", "list")).out
    assert table.splitlines()[0].split()[:3] == ["QUEUE", "PAUSED", "WAITING"]
    as_json = succeeded(await qjobs("queue", "list", "-o", "json")).json
    as_lines = succeeded(await qjobs("queue", "list", "-o", "jsonl")).lines
    as_yaml = succeeded(await qjobs("queue", "list", "-o", "yaml")).yaml
    names = [queue["queueName"] for queue in as_json]
    assert "email:send" in names
    for other in (as_lines, as_yaml):
        assert [queue["queueName"] for queue in other] == names
    assert as_json[0]["counts"]["waiting"] == 0
    assert all(name in table for name in names)


async def test_pausing_resuming_limiting_and_cleaning_a_queue(qjobs: Qjobs) -> None:
    assert "paused" in succeeded(await qjobs("queue", "pause", "test:work")).out
    assert succeeded(await qjobs("queue", "show", "test:work", "-o", "json")).json["paused"] is True
    succeeded(await qjobs("queue", "resume", "test:work"))
    limited = succeeded(
        await qjobs("queue", "limit", "test:work", "--max-active", "3", "--rate", "100/1m", "-o", "json")
    ).json
    assert limited["limits"] == {"maxActive": 3, "rate": {"max": 100, "periodMs": 60_000}, "etag": "3-100-60000"}
    assert "at most 3 active" in succeeded(await qjobs("queue", "limit", "test:work")).out
    assert "0 completed" in succeeded(await qjobs("queue", "clean", "test:work", "--yes")).out


async def test_a_queue_shows_how_many_waiting_jobs_are_set_aside(
    qjobs: Qjobs, service: Running, store: Store, catalog: Catalog, settings: Settings
) -> None:
    assert "set aside" not in succeeded(await qjobs("queue", "show", WORK)).out.lower()
    for _ in range(3):
        await service.admin.enqueue(Noop())
    limited = replace(catalog.queue(WORK), family="export")
    worker = Claims(store, limited, "worker-1", settings.model_copy(update={"export_max_per_user": 1}))
    assert len((await worker.claim(3)).jobs) == 1
    shown = succeeded(await qjobs("queue", "show", WORK, "-o", "json")).json
    assert (shown["setAside"], shown["counts"]["waiting"]) == (2, 2)
    assert "2 of the waiting jobs, until" in succeeded(await qjobs("queue", "show", WORK)).out


async def test_what_is_unknown_is_not_found_and_what_is_wrong_is_refused_before_any_call(qjobs: Qjobs) -> None:
    unknown = await qjobs("queue", "show", "no:such")
    assert (unknown.status, unknown.out) == (Exit.NOT_FOUND, "")
    assert unknown.err.startswith("qjobs: ")
    wrong = await qjobs("queue", "clean", "test:work", "--older-than", "12")
    assert wrong.status == Exit.USAGE
    assert "10m" in wrong.err


@pytest.mark.families
async def test_stats_health_workers_and_types_are_shown(qjobs: Qjobs, service: Running) -> None:
    await service.admin.enqueue(Noop())
    stats = succeeded(await qjobs("stats")).out
    assert "1 waiting" in stats
    assert succeeded(await qjobs("stats", "-o", "json")).json["overview"]["waitingJobs"] == 1
    health = await qjobs("health", "-o", "json")
    assert health.json["status"] in {"healthy", "degraded"}
    assert health.status == Exit.OK
    assert succeeded(await qjobs("worker", "list", "-o", "json")).json == []
    assert "No worker" in succeeded(await qjobs("worker", "list")).err
    assert "welcome" in succeeded(await qjobs("type", "list")).out


@pytest.mark.families
async def test_the_example_of_a_type_can_be_enqueued(qjobs: Qjobs) -> None:
    shown = succeeded(await qjobs("type", "show", "email:send", "welcome")).out
    assert "qjobs job enqueue email:send welcome --data" in shown
    assert (await qjobs("type", "show", "email:send", "nothing")).status == Exit.NOT_FOUND


@pytest.mark.parametrize("words", [("queue",), ("job",), ("stats", "--nonsense"), ("job", "show"), ("job", "retry")])
async def test_a_command_line_that_says_nothing_is_a_usage_error(qjobs: Qjobs, words: tuple[str, ...]) -> None:
    assert (await qjobs(*words)).status == Exit.USAGE
