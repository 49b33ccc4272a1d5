"""The project as it is measured: its own processes with their default settings, on a Valkey of their own."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from base.settings import Settings, load
from bench.processes import ENVIRONMENT, Processes, ProgramFailedError
from bench.servers import Valkey, valkey
from engine.inspection import Inspection
from engine.jobs import State
from engine.presence import Presence
from engine.steering import Steering
from engine.store import Store
from stack.envoy import envoy_command, write_configuration
from stack.envoy_upstream import Upstream
from stack.ports import LOOPBACK, free_port

QUEUE: Final = "test:work"
CONCURRENCY: Final = 50


class Own:
    """This project. Each measurement opens it anew."""

    name: Final = "own"

    def __init__(self, processes: Processes, server: Valkey, settings: Settings, store: Store, folder: Path) -> None:
        self.server = server
        self.settings = settings
        self.processes = processes
        self.store = store
        self.program = "stack.cli"
        """The module that its service and workers run."""
        self._folder = folder
        self._workers: list[int] = []

    async def service(self) -> int:
        """Starts a service process; its id."""
        process = await self.processes.start("service", sys.executable, "-m", self.program, "service")
        await _until_open(self.settings.grpc_port)
        return process.pid

    async def envoy(self) -> int:
        """Starts Envoy in front of the service; its id."""
        configuration = write_configuration(self.settings, self._folder, Upstream.of((), self.settings))
        process = await self.processes.start("envoy", *envoy_command(configuration))
        await _until_open(self.settings.rest_port)
        return process.pid

    async def echo(self) -> int:
        """Starts a bare gRPC server beside the service; its id."""
        process = await self.processes.start("echo", sys.executable, "-m", "bench.echo")
        await _until_open(int(self.processes.environment["ECHO_PORT"]))
        return process.pid

    async def workers(self, count: int) -> list[int]:
        """Starts worker processes for the queue; their ids once all of them are at work."""
        for _ in range(count):
            process = await self.processes.start(
                f"worker-{len(self._workers)}", sys.executable, "-m", self.program, "worker", "--queues", QUEUE
            )
            self._workers.append(process.pid)
        deadline = time.monotonic() + 30
        while not {worker.pid for worker in await Presence(self.store).workers()}.issuperset(self._workers):
            if time.monotonic() > deadline:
                raise ProgramFailedError("the workers did not report")
            await asyncio.sleep(0.02)
        return self._workers

    async def fill(self, jobs: int) -> None:
        """Puts jobs that do nothing into the queue, past gRPC."""
        await self.processes.load("fill", jobs)

    async def pause(self) -> None:
        await self._steering().pause(QUEUE)

    async def resume(self) -> None:
        await self._steering().resume(QUEUE)

    def _steering(self) -> Steering:
        return Steering(self.store, Inspection(self.store, {}))

    async def completed(self) -> int:
        """Jobs that the store holds as completed: one cheap command."""
        count: int = await self.server.client.zcard(self.store.keys(QUEUE)["completed"])
        return count

    async def ended(self) -> int:
        """Jobs that have completed since the queue began."""
        (snapshot,) = await Inspection(self.store, {}).stats([QUEUE])
        return snapshot.totals[State.COMPLETED]

    async def waiting(self) -> int:
        """Jobs that wait to be run."""
        (snapshot,) = await Inspection(self.store, {}).stats([QUEUE])
        return snapshot.counts[State.WAITING]

    async def latencies(self, jobs: int, marks: Path) -> list[float]:
        """Milliseconds from before the enqueue to the handler's first line, one job after the other."""
        answer: dict[str, Any] = await self.processes.load("latency", "engine", jobs, marks)
        return list(answer["ms"])


@contextlib.asynccontextmanager
async def own(folder: Path, **variables: str) -> AsyncIterator[Own]:
    """The project on an empty Valkey. `variables` go into its environment."""
    folder.mkdir(parents=True)
    async with contextlib.AsyncExitStack() as stack:
        processes = await stack.enter_async_context(Processes(folder))
        server = await stack.enter_async_context(valkey(processes, folder))
        told = {**_environment(server, folder), **variables}
        processes.environment.update(told)
        settings = load(
            **{name.lower(): value for name, value in told.items() if name.lower() in Settings.model_fields}
        )
        store = await Store.open(settings)
        stack.push_async_callback(store.close)
        yield Own(processes, server, settings, store, folder)


def _environment(server: Valkey, folder: Path) -> Mapping[str, str]:
    ports: set[int] = {server.port}
    for _ in range(4):
        ports.add(free_port(ports))
    grpc_port, rest_port, admin_port, echo_port = ports - {server.port}
    log = folder / "logs"
    log.mkdir(parents=True)
    return {
        **ENVIRONMENT,
        "REDIS_URL": server.url,
        "JOB_PLUGINS": "testjobs",
        "TEST_CONCURRENCY": str(CONCURRENCY),
        "JWT_SECRET": "only-for-the-benchmark-and-long-enough",
        "DATA_DIR": str(folder / "data"),
        "LOG_DIR": str(log),
        "GRPC_PORT": str(grpc_port),
        "REST_PORT": str(rest_port),
        "ENVOY_ADMIN_PORT": str(admin_port),
        "METRICS_PORT": "0",
        "ECHO_PORT": str(echo_port),
    }


async def _until_open(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            if time.monotonic() > deadline:
                raise ProgramFailedError(f"nothing listens on port {port}") from None
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
