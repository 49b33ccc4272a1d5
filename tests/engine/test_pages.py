"""Finding jobs: filters, orders, pages and bulk actions."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from contract.errors import RequestInvalidError
from engine import bulk
from engine.actions import CANCEL, DELETE, PROMOTE, RETRY
from engine.claims import Note
from engine.inspection import BY_STATE, CREATED, CREATED_DESC
from engine.jobs import Enqueued, JobQuery, State
from engine.store import Store
from engine.walking import Step, Walker

from .conftest import QUEUE, Engine, complete, fail, job

SERIAL = "test:serial"
FAILED = frozenset({State.FAILED})


async def _ids(engine: Engine, query: JobQuery, order: str = "", size: int = 50) -> list[str]:
    """All pages."""
    found: list[str] = []
    token = ""
    while True:
        page = await engine.inspection.page(QUEUE, query, order, size, token)
        assert len(page.jobs) <= size
        found += [one.id for one in page.jobs]
        token = page.next_token
        if not token:
            return found


async def test_pages_show_every_job_once_newest_first_or_oldest_first(engine: Engine) -> None:
    names = [job(f"n{i:03d}") for i in range(120)]
    await engine.add(*names)
    expected = [one.id for one in names]
    assert await _ids(engine, JobQuery(), CREATED, 50) == expected
    assert await _ids(engine, JobQuery(), CREATED_DESC, 7) == expected[::-1]
    assert await _ids(engine, JobQuery(states=frozenset({State.WAITING})), "", 11) == expected[::-1]


async def test_a_page_goes_on_where_it_ended_while_jobs_come_and_go(engine: Engine) -> None:
    await engine.add(*(job(f"n{i:02d}") for i in range(10)))
    first = await engine.inspection.page(QUEUE, JobQuery(), CREATED_DESC, 4)
    await engine.add(job("newer"))
    await engine.steering.cancel(QUEUE, first.jobs[-1].id)
    await engine.steering.delete(QUEUE, first.jobs[-1].id)
    second = await engine.inspection.page(QUEUE, JobQuery(), CREATED_DESC, 4, first.next_token)
    assert [one.id for one in first.jobs + second.jobs] == [f"n{i:02d}" for i in range(9, 1, -1)]


async def test_the_queues_own_order_is_next_to_run_and_latest_ended(engine: Engine) -> None:
    await engine.add(
        job("low", priority=-1),
        job("a"),
        job("high", priority=1),
        job("later", delay=90_000),
        job("soon", delay=50_000),
    )
    assert await _ids(engine, JobQuery(states=frozenset({State.WAITING})), BY_STATE, 2) == ["high", "a", "low"]
    assert await _ids(engine, JobQuery(states=frozenset({State.DELAYED})), BY_STATE) == ["soon", "later"]
    worker = engine.worker()
    for _ in range(3):
        (claimed,) = (await worker.claim(1)).jobs
        await worker.settle([complete(claimed)], 0)
    assert await _ids(engine, JobQuery(states=frozenset({State.COMPLETED})), BY_STATE, 2) == ["low", "a", "high"]
    with pytest.raises(RequestInvalidError, match="exactly one state"):
        await engine.inspection.page(QUEUE, JobQuery(), BY_STATE)


async def test_jobs_that_end_in_one_call_are_listed_in_the_order_of_their_ends_whatever_their_retention(
    engine: Engine,
) -> None:
    await engine.add(*(job(f"j{n}", retention=3_600_000 * (n % 2)) for n in range(6)))
    await engine.steering.change_many(CANCEL, QUEUE, [f"j{n}" for n in range(6)])
    listed = await _ids(engine, JobQuery(states=frozenset({State.CANCELLED})), BY_STATE, 2)
    assert listed == [f"j{n}" for n in reversed(range(6))]


async def test_filters_hold_together(engine: Engine) -> None:
    await engine.add(job("a1"), job("b1", owner="bob", payload=b"needle in hay"), job("b2", owner="bob", type="script"))
    worker = engine.worker()
    claim = await worker.claim(3)
    await worker.settle([fail(claim.jobs[0], "a needle pricked")], 0)
    assert await _ids(engine, JobQuery(owner="bob")) == ["b2", "b1"]
    assert await _ids(engine, JobQuery(owner="bob", type="script")) == ["b2"]
    assert await _ids(engine, JobQuery(text="needle")) == ["b1", "a1"]
    assert await _ids(engine, JobQuery(states=FAILED, text="needle")) == ["a1"]
    assert await _ids(engine, JobQuery(text="%d+")) == []
    created = (await engine.inspection.get_many(QUEUE, ["b1"]))[0]
    assert created
    assert await _ids(engine, JobQuery(created_after=created.created + 1_000_000)) == []
    assert len(await _ids(engine, JobQuery(created_before=created.created + 1))) == 3


@pytest.mark.parametrize("order", [CREATED, BY_STATE])
async def test_a_text_is_found_wherever_it_stands_in_a_large_job(engine: Engine, order: str) -> None:
    """Which is searched in windows of 256 kB, so that no script holds up the store."""
    window, needle = 262_144, b"0123456789" * 13
    places = [0, window - 100, window, 2 * window - 100, 599_000]  # 100: the envelope begins before the payload
    await engine.add(*(job(f"at{at}", payload=b"x" * at + needle + b"x" * (600_000 - at)) for at in places))
    await engine.add(job("none", payload=b"x" * 600_000, attempts=1), job("small", payload=needle))
    waiting = JobQuery(states=frozenset({State.WAITING}), text=needle.decode())
    assert await _ids(engine, waiting, order, 3) == [*(f"at{at}" for at in places), "small"]
    worker = engine.worker()
    while (claimed := (await worker.claim(1)).jobs) and claimed[0].id != "none":
        pass
    await worker.settle([fail(claimed[0], "a pin pricked")], 0)
    ended = JobQuery(states=FAILED, text="a pin")
    assert await _ids(engine, ended, order) == ["none"]


async def test_a_text_is_found_in_the_failures_of_a_job_that_is_tried_again(engine: Engine) -> None:
    await engine.add(job("pricked", attempts=2), job("fine"))
    worker = engine.worker()
    claimed = (await worker.claim(1)).jobs[0]
    await worker.settle([fail(claimed, "a pin pricked")], 0)
    assert await _ids(engine, JobQuery(text="a pin")) == ["pricked"]


async def test_a_job_behind_one_that_goes_while_it_is_searched_is_searched_from_its_beginning(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.add(job("goes", payload=b"x" * 600_000), job("found", payload=b"needle" + b"x" * 600_000))
    run = Store.run

    async def deleting(store: Store, name: str, scope: str, *arguments: Any) -> Any:
        answer = await run(store, name, scope, *arguments)
        if name == "walk" and answer[5] == b"goes":
            await engine.steering.delete(QUEUE, "goes")
        return answer

    monkeypatch.setattr(Store, "run", deleting)
    assert await _ids(engine, JobQuery(states=frozenset({State.WAITING}), text="needle"), BY_STATE) == ["found"]
    assert await engine.state("goes") is None


async def test_a_token_of_another_query_is_refused(engine: Engine) -> None:
    await engine.add(*(job() for _ in range(5)))
    token = (await engine.inspection.page(QUEUE, JobQuery(), "", 2)).next_token
    for query, wrong in (
        (JobQuery(owner="bob"), token),
        (JobQuery(), "nonsense"),
        (JobQuery(), "ä"),
    ):
        with pytest.raises(RequestInvalidError, match="pageToken"):
            await engine.inspection.page(QUEUE, query, "", 2, wrong)


async def test_a_rare_job_is_found_among_very_many(engine: Engine) -> None:
    await engine.add(*(job() for _ in range(4500)))
    await engine.add(job("rare", owner="bob"))
    await engine.add(*(job() for _ in range(2500)))
    assert await _ids(engine, JobQuery(owner="bob")) == ["rare"]


async def test_bulk_actions_change_all_that_match_and_count_first(engine: Engine) -> None:
    await engine.add(*(job(owner="bob") for _ in range(450)), *(job() for _ in range(5)), job("later", delay=60_000))
    counted = await engine.steering.change_many(CANCEL, QUEUE, JobQuery(owner="bob"), validate_only=True)
    assert (counted.matched, counted.changed) == (450, 0)
    cancelled = await engine.steering.change_many(CANCEL, QUEUE, JobQuery(owner="bob"))
    assert (cancelled.matched, cancelled.changed, cancelled.failures) == (450, 450, [])
    assert await engine.counts() == {"waiting": 5, "delayed": 1, "cancelled": 450}
    retried = await engine.steering.change_many(RETRY, QUEUE, JobQuery(states=frozenset({State.CANCELLED})))
    assert retried.changed == 450
    promoted = await engine.steering.change_many(PROMOTE, QUEUE, ["later", "later", "nobody"])
    assert (promoted.changed, [name for name, _ in promoted.failures]) == (1, ["nobody"])
    deleted = await engine.steering.change_many(DELETE, QUEUE, JobQuery())
    assert deleted.changed == 456
    assert await engine.counts() == {}


async def test_a_bulk_action_does_not_chase_what_is_enqueued_meanwhile(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.add(*(job() for _ in range(250)))
    step = Walker.step
    late: list[str] = []

    async def and_one_more(self: Walker, *arguments: Any) -> Step:
        found = await step(self, *arguments)
        while not late:
            (stored,) = await engine.add(job())
            late.extend([stored.id] if stored.created > found.now else [])
        return found

    monkeypatch.setattr(Walker, "step", and_one_more)
    assert (await engine.steering.change_many(CANCEL, QUEUE, JobQuery())).changed >= 250
    assert await engine.counts() == {"waiting": 1, "cancelled": (await engine.stats()).totals[State.CANCELLED]}
    assert await engine.state(late[0]) is State.WAITING


async def test_a_bulk_action_that_leaves_nothing_has_no_token(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "BULK_LIMIT", 200)
    await engine.add(*(job(f"a{i}") for i in range(200)), job("b", type="other"))
    done = await engine.steering.change_many(CANCEL, QUEUE, JobQuery(type="noop"))
    assert (done.changed, done.next_token) == (200, "")


async def test_jobs_whose_secrets_are_gone_are_told_when_counting_as_when_retrying(engine: Engine) -> None:
    await engine.add(job("spent", secret=b"s3cret"), job("plain"))
    worker = engine.worker()
    await worker.settle([fail(one) for one in (await worker.claim(2)).jobs], 0)
    for names in (JobQuery(states=FAILED), ["spent", "plain"]):
        counted = await engine.steering.change_many(RETRY, QUEUE, names, validate_only=True)
        assert (counted.matched, [name for name, _ in counted.failures]) == (1, ["spent"])
    retried = await engine.steering.change_many(RETRY, QUEUE, JobQuery(states=FAILED))
    assert (retried.changed, [name for name, _ in retried.failures]) == (1, ["spent"])


async def test_the_last_two_hundred_log_lines_are_kept(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    assert await engine.inspection.logs(QUEUE, "a") == ([], 0)
    for start in range(0, 250, 50):
        lines = tuple(("log", f"line {n}") for n in range(start, start + 50))
        await worker.note([Note("a", claimed.fence, start, lines)])
    found = await engine.inspection.logs(QUEUE, "a")
    assert found
    assert ([line.message for line in found[0]], found[1]) == ([f"line {n}" for n in range(50, 250)], 250)
    assert await engine.inspection.logs(QUEUE, "nobody") is None


async def test_reading_a_page_of_large_jobs_is_bounded_in_bytes(engine: Engine) -> None:
    await engine.add(*(job(payload=b"x" * 900_000) for _ in range(12)))
    page = await engine.inspection.page(QUEUE, JobQuery(), "", 500)
    assert 0 < len(page.jobs) < 12
    assert len(await _ids(engine, JobQuery(), "", 500)) == 12
    assert len(await _ids(engine, JobQuery(states=frozenset({State.WAITING})), BY_STATE, 500)) == 12


async def test_a_page_of_large_jobs_of_several_queues_is_bounded_in_bytes(engine: Engine) -> None:
    queues = list(engine.catalog.queues)
    await engine.add(*(job(queue=queue, payload=b"x" * 900_000) for queue in queues))
    page = await engine.inspection.page(queues, JobQuery(), "", 500)
    assert 0 < len(page.jobs) <= 2
    assert page.next_token


@pytest.mark.parametrize(("state", "order"), [(State.WAITING, BY_STATE), (State.ACTIVE, ""), (State.ACTIVE, BY_STATE)])
async def test_bounds_are_exact_in_every_order(engine: Engine, state: State, order: str) -> None:
    (stored,) = await engine.add(job("a"))
    if state is State.ACTIVE:
        await engine.worker().claim(1)
    query = JobQuery(states=frozenset({state}))
    created = stored.created
    for about, found in (
        ({"created_before": created}, []),
        ({"created_before": created + 1}, ["a"]),
        ({"created_after": created}, ["a"]),
        ({"created_after": created + 1}, []),
    ):
        assert await _ids(engine, replace(query, **about), order) == found


async def test_jobs_of_one_moment_are_all_listed_and_all_cancelled(engine: Engine) -> None:
    at = (await engine.add(job("first")))[0].created + 3_600_000
    for _ in range(3):
        await engine.add(*(job(run_at=at) for _ in range(1000)))
    delayed = JobQuery(states=frozenset({State.DELAYED}))
    assert len(set(await _ids(engine, delayed, BY_STATE, 50))) == 3000
    counted = await engine.steering.change_many(CANCEL, QUEUE, delayed, validate_only=True)
    assert (counted.matched, counted.changed, counted.next_token) == (3000, 0, "")
    cancelled = await engine.steering.change_many(CANCEL, QUEUE, delayed)
    assert (cancelled.matched, cancelled.changed, cancelled.next_token) == (3000, 3000, "")
    assert await engine.counts() == {"waiting": 1, "cancelled": 3000}


async def test_running_jobs_are_all_listed_and_cancelled_though_their_leases_are_one(engine: Engine) -> None:
    await engine.add(*(job() for _ in range(450)))
    worker = engine.worker()
    held = (await worker.claim(450)).jobs
    await worker.extend([(one.id, one.fence) for one in held])
    running = JobQuery(states=frozenset({State.ACTIVE}))
    assert len(set(await _ids(engine, running, "", 60))) == 450
    assert (await engine.steering.change_many(CANCEL, QUEUE, running)).changed == 450


async def test_a_walk_goes_on_among_jobs_of_one_moment_when_the_last_shown_is_gone(engine: Engine) -> None:
    at = (await engine.add(job("first")))[0].created + 3_600_000
    await engine.add(*(job(f"d{n:02d}", run_at=at) for n in range(20)))
    delayed = JobQuery(states=frozenset({State.DELAYED}))
    first = await engine.inspection.page(QUEUE, delayed, BY_STATE, 5)
    await engine.steering.delete(QUEUE, first.jobs[-1].id)
    rest = await engine.inspection.page(QUEUE, delayed, BY_STATE, 50, first.next_token)
    shown = [record.id for record in (*first.jobs, *rest.jobs)]
    assert sorted(shown) == [f"d{n:02d}" for n in range(20)]


async def test_several_queues_are_walked_in_one_order(engine: Engine) -> None:
    for n in range(12):
        await engine.add(job(f"j{n:02d}", queue=(QUEUE, SERIAL)[n % 2]))
    shown: list[str] = []
    token = ""
    while True:
        page = await engine.inspection.page((QUEUE, SERIAL), JobQuery(), CREATED, 5, token)
        shown += [record.id for record in page.jobs]
        if not (token := page.next_token):
            break
    assert shown == [f"j{n:02d}" for n in range(12)]


@pytest.mark.parametrize("state", [State.WAITING, State.ACTIVE])
@pytest.mark.parametrize("order", [CREATED, CREATED_DESC])
async def test_jobs_of_one_id_and_moment_in_two_queues_are_both_shown(engine: Engine, order: str, state: State) -> None:
    queues = (QUEUE, SERIAL)
    while len({one.created for one in await asyncio.gather(*(_only(engine, queue) for queue in queues))}) > 1:
        pass
    if state is State.ACTIVE:
        for queue in queues:
            assert (await engine.worker(queue=queue).claim(1)).jobs
    query = JobQuery(states=frozenset({state}))
    first = await engine.inspection.page(queues, query, order, 1)
    second = await engine.inspection.page(queues, query, order, 1, first.next_token)
    assert {one.envelope.queue_name for one in (*first.jobs, *second.jobs)} == set(queues)


async def _only(engine: Engine, queue: str) -> Enqueued:
    """Enqueues the only job of the queue."""
    await engine.steering.change_many(DELETE, queue, JobQuery())
    (stored,) = await engine.add(job("same", queue=queue))
    return stored


async def test_a_page_of_one_job_reads_one_payload(engine: Engine) -> None:
    await engine.add(*(job(payload=b"p" * 200_000) for _ in range(20)))
    client: Any = engine.store.client
    sent = "total_net_output_bytes"
    before = await client.info("stats")
    page = await engine.inspection.page(QUEUE, JobQuery(states=frozenset({State.WAITING})), "", 1)
    after = await client.info("stats")
    if sent in before:  # a cluster answers by node
        assert after[sent] - before[sent] < 300_000
    assert len(page.jobs) == 1
