"""The project's own processes as parts of a stack."""

import asyncio
import os
import socket
from typing import ClassVar, Final

from base.settings import Settings
from engine.presence import SCHEDULERS, WORKERS, Presence
from engine.store import Store
from stack.folder import DataFolder
from stack.healthcheck import Process, problem
from stack.part import Command, Part, module
from stack.ports import reachable

STORE: Final = "valkey"


class QjobsCommand(Part):
    """A `qjobs` command. It writes its own log; all that it prints, such as what it dies of, goes to DATA_DIR/run."""

    command: ClassVar[str]

    def __init__(self, folder: DataFolder, settings: Settings, metrics_port: int) -> None:
        self._folder = folder
        self._settings = settings
        self.metrics_port = metrics_port
        """Its own, since no two processes of a host can share one; 0 where there are no metrics."""

    @property
    def told(self) -> dict[str, str]:
        """The settings that are this process's alone."""
        return {"METRICS_PORT": str(self.metrics_port)}

    async def prepare(self) -> Command:
        return Command(
            (*module("stack.cli"), self.command),
            self._folder.run / f"{self.name}.out",
            environment={**os.environ, **self.told},
        )


class Service(QjobsCommand):
    """`qjobs service`."""

    command = "service"

    def __init__(
        self,
        number: int,
        folder: DataFolder,
        settings: Settings,
        metrics_port: int,
        grpc_port: int,
        needs: tuple[str, ...] = (STORE,),
    ) -> None:
        self.needs = needs
        self.name = f"service-{number}"
        super().__init__(folder, settings.model_copy(update={"grpc_port": grpc_port}), metrics_port)
        self.grpc_port = grpc_port
        """Its own, so that it can be asked and be reached by itself."""

    @property
    def told(self) -> dict[str, str]:
        return {**super().told, "GRPC_PORT": str(self.grpc_port)}

    async def check(self, process: asyncio.subprocess.Process) -> None:  # noqa: ARG002  (it has a port to ask)
        if self._settings.grpc_tls_cert is None:
            # Whoever listens there need not be the service, which may not even have found its port taken yet.
            if reason := await asyncio.to_thread(problem, self._settings, Process.SERVICE):
                raise LookupError(reason)
            return
        _, writer = await asyncio.open_connection(reachable(self._settings.bind_host), self._settings.grpc_port)
        writer.close()


class Worker(QjobsCommand):
    """`qjobs worker`, for all queues."""

    command = "worker"

    def __init__(
        self,
        number: int,
        folder: DataFolder,
        settings: Settings,
        metrics_port: int,
        needs: tuple[str, ...] = (STORE,),
    ) -> None:
        self.needs = needs
        self.name = f"worker-{number}"
        super().__init__(folder, settings, metrics_port)

    async def check(self, process: asyncio.subprocess.Process) -> None:
        await _on_roll(self._settings, WORKERS, process)


class Scheduler(QjobsCommand):
    """`qjobs scheduler`."""

    name = command = "scheduler"
    needs = (STORE,)

    async def check(self, process: asyncio.subprocess.Process) -> None:
        await _on_roll(self._settings, SCHEDULERS, process)


async def _on_roll(settings: Settings, roll: str, process: asyncio.subprocess.Process) -> None:
    """Nobody calls the process: it is ready once it reports itself, for then it works, and health counts with it."""
    store = await Store.open(settings)
    try:
        present = await Presence(store, roll).workers()
    finally:
        await store.close()
    if (socket.gethostname(), process.pid) not in {(one.host, one.pid) for one in present}:
        raise LookupError("it has not reported yet")
