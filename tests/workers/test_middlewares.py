"""taskiq's middlewares: which hooks are called, when, and what they can do."""

from collections.abc import Callable
from typing import Annotated, Any

import anyio
import pytest
from taskiq import Context, TaskiqDepends, TaskiqMessage, TaskiqMiddleware, TaskiqResult
from testjobs.handlers import Kit, kit
from testjobs.v1.testjobs_pb2 import Noop, NoopResult

from engine.jobs import State
from workers import calls
from workers.broker import JobBroker
from workers.context import JobContext

from .conftest import Desk, serving

BrokerOf = Callable[..., JobBroker]


class Watching(TaskiqMiddleware):
    """Tells its hooks' names and its own, after a wait, as a hook that speaks to a server."""

    def __init__(self, name: str, told: list[str]) -> None:
        super().__init__()
        self.name = name
        self.told = told
        self.results: list[TaskiqResult[Any]] = []

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        self.told.append(f"pre_execute {self.name}")
        return message

    async def post_execute(self, _message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        await anyio.sleep(0.001)
        self.told.append(f"post_execute {self.name}")
        self.results.append(result)

    async def on_error(self, _message: TaskiqMessage, _result: TaskiqResult[Any], exception: BaseException) -> None:
        await anyio.sleep(0.001)
        self.told.append(f"on_error {self.name}: {type(exception).__name__}")

    async def post_save(self, _message: TaskiqMessage, _result: TaskiqResult[Any]) -> None:
        self.told.append("post_save, which is not called: the engine keeps results")


def handlers(told: list[str]) -> dict[str, Callable[..., Any]]:
    async def bare(payload: Noop, _job: JobContext) -> NoopResult:
        return await act(payload)

    async def of_worker(payload: Noop, _job: JobContext, _kit: Annotated[Kit, TaskiqDepends(kit)]) -> NoopResult:
        return await act(payload)

    async def session() -> Any:
        told.append("opened")
        yield "session"
        told.append("closed")

    async def of_job(payload: Noop, _job: JobContext, _session: Annotated[Any, TaskiqDepends(session)]) -> NoopResult:
        return await act(payload)

    async def act(payload: Noop) -> NoopResult:
        told.append("runs")
        if payload.pad == "raises":
            raise ValueError("no")
        if payload.pad == "times out":
            await anyio.sleep(60)
        return NoopResult()

    return {"none": bare, "the worker's": of_worker, "the job's": of_job}


@pytest.mark.parametrize("depends_on", ["none", "the worker's", "the job's"])
async def test_the_hooks_are_called_in_order_whatever_a_handler_depends_on(
    broker_of: BrokerOf, desk: Desk, depends_on: str
) -> None:
    told: list[str] = []
    broker = broker_of(Noop=handlers(told)[depends_on])
    first, second = Watching("1", told), Watching("2", told)
    broker.add_middlewares(first, second)
    opened, closed = (["opened"], ["closed"]) if depends_on == "the job's" else ([], [])
    before, after = ["pre_execute 1", "pre_execute 2"], ["post_execute 2", "post_execute 1"]
    errors = {"raises": "ValueError", "times out": "CancelledError"}
    async with serving(broker, desk):
        for how in ("returns", *errors):
            told.clear()
            await desk.end(await desk.enqueue(Noop(pad=how), timeout=100 if how == "times out" else 0, attempts=1))
            if how == "returns":
                assert told == [*before, *opened, "runs", *closed, *after]
            else:
                heard = [f"on_error {name}: {errors[how]}" for name in "21"]
                assert told == [*before, *opened, "runs", *heard, *after]
    assert [(each.is_err, str(each.error)) for each in first.results[:2]] == [(False, "None"), (True, "no")]
    assert first.results[0].return_value == NoopResult()


async def test_a_middleware_that_changes_the_message_is_obeyed(broker_of: BrokerOf, desk: Desk) -> None:
    seen: list[tuple[str, str, str]] = []

    def word(context: Context = TaskiqDepends()) -> str:  # noqa: B008
        return str(context.message.labels["word"])

    async def handler(
        payload: Noop, _job: JobContext, name: Annotated[str, TaskiqDepends(word)], other: str = "", limit: float = 60
    ) -> NoopResult:
        seen.append((payload.pad, name, other))
        await anyio.sleep(limit)
        return NoopResult()

    class Changing(TaskiqMiddleware):
        def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
            payload, job = message.args
            return message.model_copy(
                update={
                    "args": [Noop(pad=f"{payload.pad}, changed"), job],
                    "kwargs": {"other": "given"},
                    "labels": {"word": "labelled", "timeout": 0.05},
                }
            )

    broker = broker_of(Noop=handler)
    broker.add_middlewares(Changing())
    async with serving(broker, desk):
        record = await desk.end(await desk.enqueue(Noop(pad="asked"), attempts=1))
    assert seen == [("asked, changed", "labelled", "given")]
    assert record.state is State.FAILED, "taskiq's label for a time limit was not heeded"


@pytest.mark.parametrize("hook", ["pre_execute", "post_execute", "on_error"])
async def test_a_middleware_that_raises_fails_the_attempt_and_costs_no_slot(
    broker_of: BrokerOf, desk: Desk, hook: str
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("out of order")

    broker = broker_of(Noop=handlers([])["the job's"])
    broker.add_middlewares(type("Broken", (TaskiqMiddleware,), {hook: broken})())
    async with serving(broker, desk, slots=1):
        for _ in range(3):
            record = await desk.end(await desk.enqueue(Noop(pad="raises" if hook == "on_error" else ""), attempts=1))
            assert (record.state, record.failed_reason) == (State.FAILED, "out of order")


@pytest.mark.parametrize("depends_on", ["none", "the worker's"])
async def test_what_only_taskiq_reads_is_not_made_where_nobody_reads_it(
    broker_of: BrokerOf, desk: Desk, monkeypatch: pytest.MonkeyPatch, depends_on: str
) -> None:
    for made in ("message_of", "TaskiqResult"):
        monkeypatch.setattr(calls, made, None)
    async with serving(broker_of(Noop=handlers([])[depends_on]), desk):
        assert (await desk.end(await desk.enqueue(Noop()))).state is State.COMPLETED
