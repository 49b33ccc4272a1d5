"""Several service processes behind one gRPC port and one gateway: `qjobs up --services 2`, and what losing one costs."""

import asyncio
import json
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import qcollector
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_queries_pb2 import WatchJobResponse
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest
from testjobs.v1.testjobs_pb2 import Noop

from client import JobClient
from stack.ports import LOOPBACK
from tests.conftest import eventually
from tests.stack.running import RunningStack, environment, ports_in_a_row, qjobs
from tests.telemetry.exposed import scrape

SERVICES = ("service-1", "service-2")
MEASURED = (*SERVICES, "worker-1", "scheduler")
QUEUE = "test:work"
CALLERS = 4
"""Of each kind."""
WATCHED = 8


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home = tmp_path_factory.mktemp("services") / "data"
    stack = RunningStack(home, environment(home, SERVICES=len(SERVICES)))
    stack.told["GRPC_PORT"] = str(ports_in_a_row(1 + len(SERVICES), stack.told.values()))
    taken = {*stack.told.values(), *(str(port_of(stack, name)) for name in SERVICES)}
    stack.told["METRICS_PORT"] = str(ports_in_a_row(len(MEASURED), taken))
    stack.start()
    try:
        asyncio.run(stack.ready(150))
        yield stack
    finally:
        stack.discard()


@pytest.fixture
async def stack(running: RunningStack) -> RunningStack:
    """With all of its processes at work."""
    assert running.alive, running.said
    for name in SERVICES:
        await eventually(partial(is_well, running, name), what=f"{name} serves")
    return running


def port_of(stack: RunningStack, name: str) -> int:
    return int(stack.told["GRPC_PORT"]) + 1 + SERVICES.index(name)


def page(stack: RunningStack, name: str) -> Any:
    return scrape(int(stack.told["METRICS_PORT"]) + MEASURED.index(name))


def health(stack: RunningStack, port: int) -> Any:
    return qjobs("healthcheck", "service", told={**stack.told, "GRPC_PORT": str(port)})


def is_well(stack: RunningStack, name: str) -> bool:
    return health(stack, port_of(stack, name)).returncode == 0


def calls_of(stack: RunningStack, name: str, method: str) -> float:
    return float(page(stack, name).total("qjobs_grpc_calls_total", method=method))


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def channel(stack: RunningStack, tries: int = 1) -> AsyncIterator[Any]:
    """A stub on a connection of its own, which repeats by the contract's service config, though no more than it is told."""
    known = json.loads((Path(next(iter(qcollector.__path__))) / "service_config.json").read_text())
    known["methodConfig"][0]["retryPolicy"]["maxAttempts"] = tries
    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
    options.append(("grpc.service_config", json.dumps(known)) if tries > 1 else ("grpc.enable_retries", 0))
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{stack.told['GRPC_PORT']}", options) as opened:
        yield JobServiceStub(opened)


def signed(stack: RunningStack) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {stack.token}"),)


async def test_each_service_process_has_ports_a_log_and_metrics_of_its_own(stack: RunningStack) -> None:
    for name in SERVICES:
        started = page(stack, name).value("process_start_time_seconds")
        assert started == pytest.approx(psutil.Process(stack.pids[name]).create_time(), abs=2)
        listening = psutil.Process(stack.pids[name]).net_connections("tcp")
        assert port_of(stack, name) in {each.laddr.port for each in listening if each.status == psutil.CONN_LISTEN}
        own = (stack.home / "run" / f"{name}.out").read_text()
        assert f'"port":{port_of(stack, name)}' in own.replace(" ", "")
        assert f"{LOOPBACK}:{port_of(stack, name)} ({name})" in stack.said


async def test_a_probe_asks_the_process_that_it_names_and_the_shared_port_answers_for_any(stack: RunningStack) -> None:
    with frozen(stack.pids["service-2"]):
        silent = await asyncio.to_thread(health, stack, port_of(stack, "service-2"))
        assert silent.returncode == 1, "the other process answered in its place"
        assert is_well(stack, "service-1")
        await eventually(
            lambda: health(stack, int(stack.told["GRPC_PORT"])).returncode == 0, what="the shared port answers"
        )
        # New calls go to the other one, once the probes have found out.
        await eventually(lambda: answered_at_once(stack), what="REST goes on")


def answered_at_once(stack: RunningStack) -> bool:
    """Whether several calls in a row are answered, none of which waits for the process that stands still."""
    try:
        return all(stack.call("GET", "stats")[0] == 200 for _ in range(4))
    except TimeoutError:
        return False


async def test_rest_calls_and_grpc_connections_are_shared_out(stack: RunningStack) -> None:
    before = {name: calls_of(stack, name, "ListQueueStats") for name in SERVICES}
    answers = await asyncio.gather(*(asyncio.to_thread(stack.call, "GET", "stats") for _ in range(40)))
    assert {status for status, _ in answers} == {200}
    for name in SERVICES:
        assert calls_of(stack, name, "ListQueueStats") > before[name], f"{name} got none of 40 calls"
    before = {name: calls_of(stack, name, "GetQueueStats") for name in SERVICES}
    request = GetQueueStatsRequest(queue_name=QUEUE)
    async with channel(stack) as one, channel(stack) as other:
        for stub in (one, other):
            await stub.GetQueueStats(request, metadata=signed(stack))
        assert {name: calls_of(stack, name, "GetQueueStats") - before[name] for name in SERVICES} == dict.fromkeys(
            SERVICES, 1
        )


@dataclass
class Load:
    """Callers that go on until they are told to stop, and what became of their calls."""

    stack: RunningStack
    tries: int
    """Of one call over gRPC."""
    ids: set[str] = field(default_factory=set)
    """The jobs that were acknowledged."""
    calls: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def grpc(self) -> None:
        """As any client that knows the service config."""
        async with channel(self.stack, self.tries) as stub:
            while not self.over.is_set():
                request = EnqueueJobRequest(payload=wrapped(Noop()), request_id=str(uuid.uuid4()))
                self.ids.add((await stub.EnqueueJob(request, metadata=signed(self.stack))).job_id)
                self.calls["grpc"] += 1

    async def rest(self) -> None:
        """Enqueues under request ids, and looks; repeats nothing."""
        while not self.over.is_set():
            body = {"queueName": QUEUE, "jobType": "noop", "data": {}, "requestId": str(uuid.uuid4())}
            status, answer = await asyncio.to_thread(self.stack.call, "POST", "jobs", body)
            assert status == 200, answer
            self.ids.add(answer["jobId"])
            status, answer = await asyncio.to_thread(self.stack.call, "GET", f"{QUEUE}/stats")
            assert status == 200, answer
            self.calls["rest"] += 1

    async def client(self) -> None:
        """The Python client, which repeats by itself."""
        async with JobClient(f"{LOOPBACK}:{self.stack.told['GRPC_PORT']}", self.stack.token) as client:
            while not self.over.is_set():
                self.ids.add((await client.enqueue(Noop())).job_id)
                self.calls["client"] += 1

    async def more(self, tasks: list[asyncio.Task[None]]) -> None:
        """Returns once each kind of caller has had so many further answers. Raises what one of them has raised."""
        wanted = {kind: self.calls[kind] + 4 * CALLERS for kind in ("grpc", "rest", "client")}

        def enough() -> bool:
            for task in tasks:
                if task.done():
                    task.result()
            return all(self.calls[kind] >= wanted[kind] for kind in wanted)

        await eventually(enough, what="every kind of caller goes on")


def wrapped(payload: Any) -> JobPayload:
    wrapper = JobPayload()
    wrapper.custom.Pack(payload)
    return wrapper


@asynccontextmanager
async def under_load(stack: RunningStack, tries: int) -> AsyncIterator[tuple[Load, Callable[[], Awaitable[None]]]]:
    """The load, and what waits for more of it."""
    load = Load(stack, tries)
    callers = [kind for kind in (load.grpc, load.rest, load.client) for _ in range(CALLERS)]
    tasks = [asyncio.create_task(caller()) for caller in callers]
    try:
        await load.more(tasks)
        yield load, lambda: load.more(tasks)
    finally:
        load.over.set()
        await asyncio.gather(*tasks)


async def watched(client: JobClient, seen: list[WatchJobResponse], begun: asyncio.Event) -> None:
    job = await client.enqueue(Noop(), delay=6000)
    async for event in job.watch():
        seen.append(event)
        begun.set()


@pytest.mark.parametrize("name", SERVICES)
async def test_a_killed_service_costs_its_callers_one_retry_and_loses_nothing_while_the_other_goes_on(
    stack: RunningStack, name: str
) -> None:
    other = next(one for one in SERVICES if one != name)
    before, restarts = stack.pids, stack.said.count("ready again")
    done = stack.call("GET", f"{QUEUE}/stats")[1]["counts"]["completed"]
    clients = [JobClient(f"{LOOPBACK}:{stack.told['GRPC_PORT']}", stack.token) for _ in range(WATCHED)]
    seen: list[list[WatchJobResponse]] = [[] for _ in clients]
    begun = [asyncio.Event() for _ in clients]
    watches = [asyncio.create_task(watched(*each)) for each in zip(clients, seen, begun, strict=True)]
    await asyncio.gather(*(event.wait() for event in begun))
    async with under_load(stack, tries=2) as (load, more):
        os.kill(before[name], signal.SIGKILL)
        await more()
        await eventually(lambda: stack.said.count("ready again") > restarts, what=f"{name} starts again")
        await more()
    await asyncio.gather(*watches)
    for client in clients:
        await client.close()
    assert stack.pids[name] != before[name]
    assert {part: pid for part, pid in stack.pids.items() if part != name} == {
        part: pid for part, pid in before.items() if part != name
    }, "no other process was started again"
    for events in seen:
        assert events[-1].HasField("end")
        assert all(int(one.sequence.split("-")[0]) <= int(two.sequence.split("-")[0]) for one, two in pairwise(events))
    acknowledged = len(load.ids) + len(watches)

    def completed() -> int:
        return int(stack.call("GET", f"{QUEUE}/stats")[1]["counts"]["completed"]) - done

    await eventually(lambda: completed() >= acknowledged, what="every acknowledged job is done")
    assert completed() == acknowledged, "each of them once"
    assert calls_of(stack, other, "EnqueueJob") > 0


async def test_a_stopped_service_loses_no_call(stack: RunningStack) -> None:
    restarts = stack.said.count("ready again")
    async with under_load(stack, tries=4) as (_, more):
        os.kill(stack.pids["service-1"], signal.SIGTERM)
        await more()
        await eventually(lambda: stack.said.count("ready again") > restarts, what="it starts again")
        await more()
