"""What handlers depend on: made once for the worker or for each job, and closed whatever becomes of the job."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import anyio
import pytest
from taskiq import Context, TaskiqDepends
from testjobs.handlers import Kit, kit
from testjobs.v1.testjobs_pb2 import Noop, NoopResult

from base import resources
from base.resources import Resource, provides
from base.settings import Settings
from contract.catalog import CatalogError
from engine.jobs import JobRecord, State
from tests.conftest import eventually
from workers import cleanup_scope, handlers
from workers.broker import JobBroker
from workers.context import JobContext
from workers.handlers import load_handlers
from workers.receiver import JobReceiver
from workers.running import BreakOff
from workers.worker import work

from .conftest import WORK, Desk, serving

BrokerOf = Callable[..., JobBroker]


class Boat:
    pass


async def test_what_lives_as_long_as_the_worker_is_opened_once_and_the_same_in_every_job(
    desk: Desk, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_handlers(("testjobs",))
    monkeypatch.setattr(resources, "_provided", dict(resources._provided))
    told: list[str] = []
    boats: list[Boat] = []
    the_boat = Boat()

    @provides(Boat)
    async def boat(_settings: Settings, _store: Any) -> AsyncIterator[Boat]:
        told.append("opened")
        yield the_boat
        told.append("closed")

    async def crew(its_boat: Annotated[Boat, TaskiqDepends(boat)]) -> list[Boat]:
        return [its_boat]

    async def handler(
        _payload: Noop,
        _job: JobContext,
        direct: Annotated[Boat, TaskiqDepends(boat)],
        of_job: Annotated[list[Boat], TaskiqDepends(crew)],
    ) -> NoopResult:
        boats.extend((direct, *of_job))
        return NoopResult()

    async def simple(_payload: Noop, _job: JobContext, direct: Annotated[Boat, TaskiqDepends(boat)]) -> NoopResult:
        boats.append(direct)
        return NoopResult()

    for each in (handler, simple):
        monkeypatch.setitem(handlers._handlers, Noop.DESCRIPTOR.full_name, each)
        told.clear()
        boats.clear()
        stopping = asyncio.Event()
        working = asyncio.create_task(work(settings, stopping, [WORK]))
        for _ in range(3):
            await desk.end(await desk.enqueue(Noop()))
        stopping.set()
        await working
        assert told == ["opened", "closed"]
        assert len(boats) >= 3
        assert set(boats) == {the_boat}


@pytest.mark.parametrize("use_cache", [True, False])
async def test_two_jobs_at_once_never_get_each_other_s(broker_of: BrokerOf, desk: Desk, use_cache: bool) -> None:
    seen: dict[str, tuple[str, str]] = {}

    async def slowly() -> None:
        await asyncio.sleep(0.01)

    async def task_id(_slow: None = TaskiqDepends(slowly), context: Context = TaskiqDepends()) -> str:  # noqa: B008
        return context.message.task_id

    async def handler(
        _payload: Noop,
        job: JobContext,
        name: Annotated[str, TaskiqDepends(task_id, use_cache=use_cache)],
        again: Annotated[str, TaskiqDepends(task_id, use_cache=use_cache)],
    ) -> NoopResult:
        seen[job.job_id] = (name, again)
        return NoopResult()

    async with serving(broker_of(Noop=handler), desk):
        ids = [await desk.enqueue(Noop()) for _ in range(30)]
        for job_id in ids:
            await desk.end(job_id)
    assert seen == {job_id: (job_id, job_id) for job_id in ids}


class Log:
    """What became of a dependency and of its job."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def session(self) -> AsyncIterator[str]:
        self.lines.append("opened")
        try:
            async with anyio.create_task_group():  # a scope of its own, as many a library has
                yield "session"
            await anyio.sleep(0.01)
            self.lines.append("committed")
        finally:
            await anyio.sleep(0.01)
            self.lines.append("closed")

    def plain(self) -> Iterator[str]:
        self.lines.append("opened")
        try:
            yield "session"
            self.lines.append("committed")
        finally:
            self.lines.append("closed")


KINDS: dict[str, Callable[[Log], Any]] = {
    "an async generator": lambda log: log.session,
    "a generator": lambda log: log.plain,
    "an async context manager": lambda log: asynccontextmanager(log.session),
    "a context manager": lambda log: contextmanager(log.plain),
}


async def run(how: str, broker: JobBroker, desk: Desk, log: Log) -> JobRecord | None:
    """Runs one job until its handler has returned or raised, or it is timed out or cancelled."""
    async with serving(broker, desk) as receiver:
        job_id = await desk.enqueue(Noop(pad=how), timeout=100 if how == "times out" else 0, attempts=1)
        if how != "is cancelled":
            return await desk.end(job_id)
        await eventually(lambda: "runs" in log.lines)
        (job,) = receiver.pumps[0].slots
        job.break_off(BreakOff.CANCELLED)
        await eventually(lambda: not receiver.pumps[0].slots)
        return None


def acting(log: Log, source: Any) -> Callable[..., Any]:
    async def handler(payload: Noop, _job: JobContext, _made: Annotated[str, TaskiqDepends(source)]) -> NoopResult:
        log.lines.append("runs")
        if payload.pad == "raises":
            raise ValueError("no")
        if payload.pad != "returns":
            await anyio.sleep(60)
        return NoopResult()

    return handler


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["returns", "raises", "times out", "is cancelled"])
async def test_what_is_made_for_a_job_is_closed_after_it(broker_of: BrokerOf, desk: Desk, kind: str, how: str) -> None:
    log = Log()
    handler = acting(log, KINDS[kind](log))
    await run(how, broker_of(Noop=handler), desk, log)
    committed = ["committed"] if how == "returns" else []
    assert log.lines == ["opened", "runs", *committed, "closed"]


async def test_a_clean_up_that_fails_fails_the_attempt_and_keeps_no_other_open(broker_of: BrokerOf, desk: Desk) -> None:
    log = Log()

    async def broken(_session: Annotated[str, TaskiqDepends(log.session)]) -> AsyncIterator[str]:
        yield "broken"
        raise ValueError("nothing was kept")

    record = await run("returns", broker_of(Noop=acting(log, broken)), desk, log)
    assert record is not None
    assert (record.state, record.failed_reason) == (State.FAILED, "nothing was kept")
    assert log.lines == ["opened", "runs", "closed"], "it was committed although the job failed"


async def test_a_dependency_that_fails_fails_the_attempt_and_closes_those_before_it(
    broker_of: BrokerOf, desk: Desk
) -> None:
    log = Log()

    def broken(_session: Annotated[str, TaskiqDepends(log.session)]) -> str:
        raise ValueError("there is none")

    record = await run("returns", broker_of(Noop=acting(log, broken)), desk, log)
    assert record is not None
    assert (record.state, record.failed_reason) == (State.FAILED, "there is none")
    assert log.lines == ["opened", "closed"]


async def test_a_dependency_that_hides_an_error_does_not_make_its_job_good(broker_of: BrokerOf, desk: Desk) -> None:
    log = Log()

    async def hiding() -> AsyncIterator[str]:
        try:
            yield "hiding"
        except ValueError:
            log.lines.append("hidden")

    record = await run("raises", broker_of(Noop=acting(log, hiding)), desk, log)
    assert record is not None
    assert (record.state, record.failed_reason) == (State.FAILED, "no")
    assert log.lines == ["runs", "hidden"]


@pytest.mark.parametrize("how", ["returns", "raises"])
async def test_a_clean_up_that_does_not_end_holds_no_slot_for_ever(
    broker_of: BrokerOf, desk: Desk, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(cleanup_scope, "CLEANUP_SECONDS", 0.1)
    log = Log()

    async def lasting() -> AsyncIterator[str]:
        try:
            yield "lasting"
        finally:
            await anyio.sleep(60)

    record = await run(how, broker_of(Noop=acting(log, lasting)), desk, log)
    assert record is not None
    assert record.state is State.FAILED
    assert record.failed_reason == "no" if how == "raises" else "took longer than" in record.failed_reason


async def ashore(_settings: Settings, _store: Any) -> AsyncIterator[Boat]:
    yield Boat()


def named(_word: str) -> str:
    return _word


def made_of_a_kit(_kit: Annotated[Kit, TaskiqDepends(kit, use_cache=False)]) -> str:
    return "made"


async def a_mystery(_payload: Noop, _job: JobContext, _mystery: str) -> NoopResult:
    return NoopResult()


async def too_little(_payload: Noop) -> NoopResult:
    return NoopResult()


async def no_job(_payload: Noop, _name: Annotated[str, TaskiqDepends(str)]) -> NoopResult:
    return NoopResult()


async def no_boat(
    _: Noop, _job: JobContext, _boat: Annotated[Boat, TaskiqDepends(Resource(Boat, ashore))]
) -> NoopResult:
    return NoopResult()


async def half_a_name(_payload: Noop, _job: JobContext, _name: Annotated[str, TaskiqDepends(named)]) -> NoopResult:
    return NoopResult()


async def half_a_name_anew(
    _payload: Noop, _job: JobContext, _name: Annotated[str, TaskiqDepends(named, use_cache=False)]
) -> NoopResult:
    return NoopResult()


async def a_kit_anew(
    _payload: Noop, _job: JobContext, _made: Annotated[str, TaskiqDepends(made_of_a_kit)]
) -> NoopResult:
    return NoopResult()


async def a_kit_of_its_own(_payload: Noop, _job: JobContext, _kit: Annotated[Kit, TaskiqDepends()]) -> NoopResult:
    return NoopResult()


async def nothing_at_all(_payload: Noop, _job: JobContext, _what=TaskiqDepends()) -> NoopResult:  # noqa: B008
    return NoopResult()


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (a_mystery, r"nothing says where its parameter _mystery comes from; annotate it as Annotated\["),
        (too_little, "it is called with a payload and a job; let these be its first two parameters"),
        (no_job, "the job is passed where its parameter _name stands; move that behind payload and job"),
        (no_boat, r"its parameter _boat depends on .*\.ashore, which this worker has not opened; .*@provides\(Boat\)"),
        (half_a_name, r"nothing says where the parameter _word of named comes from; annotate it as Annotated\["),
        (half_a_name_anew, r"nothing says where the parameter _word of named comes from; annotate it as Annotated\["),
        (a_kit_anew, r"its parameter _kit asks for testjobs\.handlers\.kit with use_cache=False, .* leave it cached"),
        (
            a_kit_of_its_own,
            r"its parameter _kit asks for a Kit of its own; .* TaskiqDepends\(testjobs\.handlers\.kit\)",
        ),
        (nothing_at_all, r".*_what .* cannot be resolved.* Name its source: TaskiqDepends\("),
    ],
)
async def test_a_handler_that_could_not_be_called_is_refused_at_start(
    broker_of: BrokerOf, desk: Desk, handler: Callable[..., Any], problem: str
) -> None:
    with pytest.raises(CatalogError, match=f"the handler of test:work/noop: {problem}"):
        JobReceiver(broker_of(Noop=handler), [desk.engine.worker()], {WORK: 1}, desk.engine.settings)
