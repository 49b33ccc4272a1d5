"""What is put to the test: a store, services, workers and schedulers as processes of their own, each with ways that can be cut.

The driver is their supervisor: whatever ends is started again at once.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from base.settings import Settings, load
from engine.store import Store
from stack.ports import LOOPBACK, free_port
from stack.tokens import sign
from tests.chaos.history import History
from tests.chaos.nursery import Nursery
from tests.chaos.proxy import Proxy
from tests.conftest import ValkeyServer
from tests.stack.running import environment, runs

LEASE = 2.0
QUEUES = ("chaos:work", "chaos:serial", "chaos:slots")
SERVICES = ("service-1", "service-2")
WORKERS = ("worker-1", "worker-2", "worker-3")
SCHEDULERS = ("scheduler-1", "scheduler-2")
_SECRET = "a-secret-of-the-chaos-tests-that-is-long-enough"


@dataclass
class OneServer:
    """A single server."""

    server: ValkeyServer

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def port(self) -> int:
        return self.server.port

    def address(self, port: int) -> str:
        return f"redis://{LOOPBACK}:{port}/0"

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.kill()


@dataclass
class Member:
    """One process of the project, kept running."""

    name: str
    command: tuple[str, ...]
    variables: dict[str, str]
    to_store: Proxy
    starts: int = 0
    keeper: asyncio.Task[None] | None = None

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]


@dataclass
class Rig:
    """All processes of one part. `everyone` has the members by name."""

    home: Path
    history: History
    store: OneServer
    lease: float = LEASE
    members: dict[str, Member] = field(default_factory=dict)
    to_services: dict[str, Proxy] = field(default_factory=dict)
    """What clients call."""
    settings: Settings = field(init=False)
    token: str = field(init=False)
    _nursery: Nursery = field(init=False)
    _paused: set[int] = field(default_factory=set)

    async def open(self) -> None:
        told = environment(
            self.home / "data",
            JWT_SECRET=_SECRET,
            QUEUE_LEASE_SECONDS=str(self.lease),
            JOB_PLUGINS="chaosjobs",
            LOG_FORMAT="json",
            CHAOS_HISTORY=str(self.history.path),
            QUEUE_MIN_RETENTION=86_400,
            ENABLE_EMAIL_SERVICE="false",
        )
        self.store.start()
        self.settings = load(
            redis_url=self.store.url, job_plugins=("chaosjobs",), queue_lease_seconds=self.lease, data_dir=self.home
        )
        self.token = sign(_SECRET, subject="chaos", role="super_admin", name="chaos", seconds=86_400)
        self._nursery = Nursery(told, self.home / "nursery.log")
        await self._nursery.open()
        for name in (*SERVICES, *WORKERS, *SCHEDULERS):
            await self._add(name)
        await asyncio.gather(*(self._ready(name) for name in self.members))

    async def _add(self, name: str) -> None:
        to_store = await Proxy(self.store.port).open()
        kind = name.partition("-")[0]
        variables = {"REDIS_URL": self.store.address(to_store.port)}
        command: tuple[str, ...] = (kind,)
        if kind == "service":
            port = free_port()
            variables["GRPC_PORT"] = str(port)
            self.to_services[name] = await Proxy(port).open()
        elif kind == "worker":
            command = (kind, "--queues", ",".join(QUEUES))
        member = self.members[name] = Member(name, command, variables, to_store)
        member.keeper = asyncio.create_task(self._keep(member))

    async def _keep(self, member: Member) -> None:
        """Starts the process, and again whenever it ends."""
        while True:
            log = self.home / f"{member.name}.log"
            pid = await self._nursery.start(member.name, *member.command, log=log, **member.variables)
            member.starts += 1
            self.history.write("process", "started", name=member.name, pid=pid)
            await self._nursery.ended(member.name, pid)
            self._paused.discard(pid)
            self.history.write("process", "ended", name=member.name, pid=pid)
            await asyncio.sleep(0.02)

    async def _ready(self, name: str) -> None:
        """Its log tells that it has started."""
        path = self.home / f"{name}.log"
        async with asyncio.timeout(90):
            while not path.exists() or "_started" not in path.read_text():
                await asyncio.sleep(0.05)

    def pid(self, name: str) -> int | None:
        return self._nursery.pids.get(name)

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def freeze(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._paused.add(pid)

    def thaw(self, pid: int) -> bool:
        """Whether it was there to be thawed."""
        self._paused.discard(pid)
        if not runs(pid):
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        return True

    async def store_handle(self) -> Store:
        """The driver's own access to the store, by no proxy."""
        return await Store.open(self.settings)

    async def close(self) -> None:
        for pid in list(self._paused):
            self.thaw(pid)
        for member in self.members.values():
            if member.keeper is not None:
                member.keeper.cancel()
        await asyncio.gather(*(m.keeper for m in self.members.values() if m.keeper), return_exceptions=True)
        await self._nursery.close()
        for proxy in (*(m.to_store for m in self.members.values()), *self.to_services.values()):
            await proxy.close()
        self.store.stop()


async def watch_lag(history: History, told: Mapping[str, float]) -> None:
    """Writes down when this process was not let run: other processes were not either."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(told["every"])
        late = (time.monotonic() - began - told["every"]) * 1000
        if late > told["from_ms"]:
            history.write("lag", ms=late)
