"""The worker's own parts: what they refuse at start, and how they go about their jobs."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from taskiq.abc.broker import AsyncBroker
from testjobs.v1.testjobs_pb2 import Noop, NoopResult, Script, Step

from base.settings import Settings
from contract.admission import Admission
from contract.catalog import Catalog, CatalogError
from contract.errors import RequestInvalidError
from engine.claims import Claims
from engine.intake import Intake
from engine.jobs import Cause, Claim, Settlement, State
from tests.conftest import eventually
from workers import handlers
from workers.broker import JobBroker
from workers.context import JobContext
from workers.handlers import load_handlers
from workers.receiver import JobReceiver
from workers.worker import work

from .conftest import LEASE, WORK, Desk, serving

NOOP = Noop.DESCRIPTOR.full_name


async def test_a_wakeup_that_a_closing_worker_took_in_its_last_moment_is_handed_on(
    broker_of: Callable[..., JobBroker], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = asyncio.Event()
    wait_for_work = Claims.wait_for_work

    async def too_late(claims: Claims, seconds: float) -> bool:
        """The wait's end and its cancel cross."""
        waits.set()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            await wait_for_work(claims, seconds)
            raise
        return False

    monkeypatch.setattr(Claims, "wait_for_work", too_late)
    async with serving(broker_of(), desk):
        await waits.wait()
        await desk.engine.worker().hand_on_wakeup()
    assert await wait_for_work(desk.engine.worker("another"), 0.1)


async def test_a_handler_that_is_not_async_is_refused(broker_of: Callable[..., JobBroker]) -> None:
    def blocking(_payload: Noop, _job: JobContext) -> NoopResult:
        return NoopResult()

    with pytest.raises(CatalogError, match=r"test:work/noop is not `async def`.*anyio\.to_thread"):
        broker_of(Noop=blocking)


async def test_a_type_without_a_handler_is_refused(desk: Desk, settings: Settings, catalog: Catalog) -> None:
    given = load_handlers(("testjobs",))
    del given[NOOP]
    with pytest.raises(CatalogError, match="test:work/noop has no handler"):
        JobBroker(catalog, given, Admission(catalog, settings), Intake(desk.engine.store, settings))


async def test_brokers_leave_handlers_and_taskiq_s_shared_registry_alone(broker_of: Callable[..., JobBroker]) -> None:
    name = load_handlers(("testjobs",))[NOOP].__name__
    broker_of(), broker_of()
    assert load_handlers(("testjobs",))[NOOP].__name__ == name
    assert AsyncBroker.global_task_registry == {}


async def test_a_wrong_answer_fails_for_good(broker_of: Callable[..., JobBroker], desk: Desk) -> None:
    async def wrong(payload: Noop, _job: JobContext) -> Noop:
        return payload

    async with serving(broker_of(Noop=wrong), desk):
        record = await desk.end(await desk.enqueue(Noop()))
    assert (record.state, record.fails, record.cause) == (State.FAILED, 1, Cause.UNUSABLE_RESULT)
    assert record.failed_reason == (
        "the handler of test:work/noop answered a testjobs.v1.Noop instead of a testjobs.v1.NoopResult"
    )


async def test_long_reasons_are_cut(broker_of: Callable[..., JobBroker], desk: Desk) -> None:
    async def wordy(_payload: Noop, _job: JobContext) -> NoopResult:
        raise ValueError("x" * 10_000)

    async with serving(broker_of(Noop=wordy), desk):
        record = await desk.end(await desk.enqueue(Noop(), attempts=1))
    assert len(record.failed_reason) == 2000
    assert record.failed_reason.startswith("xxx")


async def test_a_job_that_ignores_its_cancel_ends_all_the_same(broker_of: Callable[..., JobBroker], desk: Desk) -> None:
    async def stubborn(_payload: Noop, _job: JobContext) -> NoopResult:
        for _ in range(3):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue
        return NoopResult()

    async with serving(broker_of(Noop=stubborn), desk):
        record = await desk.end(await desk.enqueue(Noop(), timeout=100, attempts=1))
    assert record.finished - record.started < 10_000


async def test_jobs_of_a_process_s_own_go_by_the_same_rules(broker_of: Callable[..., JobBroker], desk: Desk) -> None:
    broker = broker_of()
    task = broker.find_task("test:work/noop")
    assert task is not None
    sent = await task.kicker().with_labels(priority=7, delay=60_000).kiq(Noop(pad="x"))
    record = await desk.get(sent.task_id)
    assert (record.state, record.priority) == (State.DELAYED, 7)
    assert record.envelope.created_by.role == "service"
    assert broker.formatter.loads(message=record.envelope.SerializeToString()).args == [Noop(pad="x")]

    script = broker.find_task("test:work/script")
    assert script is not None
    with pytest.raises(Exception) as refused:  # noqa: PT011  (taskiq wraps it)
        await script.kiq(Script())
    assert isinstance(refused.value.__cause__, RequestInvalidError)


async def test_a_handler_that_blocks_the_loop_loses_no_lease(
    desk: Desk, settings: Settings, monkeypatch: pytest.MonkeyPatch, catalog: Catalog
) -> None:
    """The worker has a thread of its own here, and the test keeps reaping."""

    async def blocking(_payload: Noop, _job: JobContext) -> NoopResult:
        time.sleep(2.5 * LEASE)  # what is tested: a loop that stands still for longer than a lease
        return NoopResult()

    load_handlers(("testjobs",))
    monkeypatch.setitem(handlers._handlers, NOOP, blocking)
    stopping = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await work(settings, stopping, [WORK])

    worker = threading.Thread(target=asyncio.run, args=(run(),))
    worker.start()
    job_id = await desk.enqueue(Noop())
    reaper = Claims(desk.engine.store, catalog.queue(WORK), "reaper", settings)

    async def ended() -> bool:
        assert (await reaper.reap()).stalled == ()
        return (await desk.get(job_id)).state.finished

    await eventually(ended, every=0.1)
    record = await desk.get(job_id)
    assert (record.state, record.starts, record.stalls) == (State.COMPLETED, 1, 0)
    loops[0].call_soon_threadsafe(stopping.set)
    await asyncio.to_thread(worker.join)


async def test_a_wake_up_during_a_call_is_not_forgotten(broker_of: Callable[..., JobBroker], desk: Desk) -> None:
    class Slow(Claims):
        """Answers late, as over a slow network."""

        async def settle(self, settlements: Sequence[Settlement], n: int) -> Claim:
            claim = await super().settle(settlements, n)
            answered.set()
            await asyncio.sleep(0.3)
            return claim

    answered, stopping = asyncio.Event(), asyncio.Event()
    slow = Slow(desk.engine.store, desk.engine.catalog.queue(WORK), "w", desk.engine.settings)
    receiver = JobReceiver(broker_of(), [slow], {WORK: 1}, desk.engine.settings)
    listening = asyncio.create_task(receiver.listen(stopping))
    await answered.wait()  # there was nothing, but the worker does not know yet
    job_id = await desk.enqueue(Noop())
    assert await desk.engine.worker("another").wait_for_work(1)
    receiver.pumps[0].look()
    record = await desk.end(job_id)
    assert record.started - record.created < 1500, "it waited until the worker looked by itself"
    stopping.set()
    await listening


async def test_a_worker_reports_itself_and_takes_its_leave(desk: Desk, settings: Settings) -> None:
    from engine.presence import Presence  # noqa: PLC0415

    stopping = asyncio.Event()
    working = asyncio.create_task(work(settings, stopping, [WORK]))
    presence = Presence(desk.engine.store)
    (worker,) = await eventually(presence.workers)
    await desk.script(Step(answer=1))
    assert [(queue.queue_name, queue.concurrency) for queue in worker.queues] == [(WORK, 50)]
    assert worker.memory_bytes > 1_000_000
    stopping.set()
    await working
    assert await presence.workers() == []
