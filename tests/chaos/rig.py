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
from stack.ports import free_port
from stack.tokens import sign
from tests.chaos.history import History
from tests.chaos.hosts import Host, SmallDisk
from tests.chaos.nursery import Nursery
from tests.chaos.proxy import Proxy
from tests.chaos.stores import OneServer, StoreUnderTest
from tests.stack.running import environment, runs

LEASE = 2.0
QUEUES = ("chaos:work", "chaos:serial", "chaos:slots")
SERVICES = ("service-1", "service-2")
WORKERS = ("worker-1", "worker-2", "worker-3")
SCHEDULERS = ("scheduler-1", "scheduler-2")
ELSEWHERE = ("service-2", "worker-3", "scheduler-2")
"""Those that run on the other host, where there is one."""
_SECRET = "a-secret-of-the-chaos-tests-that-is-long-enough"


@dataclass
class Member:
    """One process of the project, kept running."""

    name: str
    command: tuple[str, ...]
    variables: dict[str, str]
    nursery: Nursery
    to_store: Proxy | None
    """None where the store tells its clients where it is."""
    started: float = 0.0
    """When, by the monotonic clock."""
    keeper: asyncio.Task[None] | None = None

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]


@dataclass
class Rig:
    """All processes of one part, on this host and, some of them, on another."""

    home: Path
    history: History
    store: StoreUnderTest
    other: Host | None = None
    """Where ELSEWHERE runs."""
    disk: SmallDisk | None = None
    """On which the store keeps its data."""
    lease: float = LEASE
    members: dict[str, Member] = field(default_factory=dict)
    to_services: dict[str, Proxy] = field(default_factory=dict)
    """What clients call."""
    settings: Settings = field(init=False)
    token: str = field(init=False)
    _nurseries: list[Nursery] = field(default_factory=list)
    _frozen: set[int] = field(default_factory=set)

    async def open(self) -> None:
        if self.disk is not None:
            self.disk.open()
        if self.other is not None:
            self.other.open()
        await asyncio.to_thread(self.store.start)
        self.settings = load(
            redis_url=self.store.url, job_plugins=("chaosjobs",), queue_lease_seconds=self.lease, data_dir=self.home
        )
        # The clock of a service may be behind this one's by minutes.
        self.token = sign(_SECRET, subject="chaos", role="super_admin", name="chaos", seconds=86_400)
        here = Host()
        nurseries = {host: await self._nursery(host) for host in (here, self.other) if host is not None}
        for name in (*SERVICES, *WORKERS, *SCHEDULERS):
            host = self.other if self.other is not None and name in ELSEWHERE else here
            await self._add(name, host, nurseries[host])
        await asyncio.gather(*(self._ready(name) for name in self.members))

    async def _nursery(self, host: Host) -> Nursery:
        told = environment(
            self.home / "data",
            JWT_SECRET=_SECRET,
            QUEUE_LEASE_SECONDS=str(self.lease),
            JOB_PLUGINS="chaosjobs",
            LOG_FORMAT="json",
            CHAOS_HISTORY=str(self.history.path),
            QUEUE_MIN_RETENTION=86_400,
            ENABLE_EMAIL_SERVICE="false",
            **host.variables,
        )
        nursery = Nursery(told, self.home / f"nursery-{len(self._nurseries)}.log", host.wrapped)
        self._nurseries.append(nursery)
        await nursery.open()
        return nursery

    async def _add(self, name: str, host: Host, nursery: Nursery) -> None:
        to_store, url = None, self.store.url
        if isinstance(self.store, OneServer):
            to_store = await Proxy(self.store.server.port).open(host.here)
            url = self.store.url_by(host.here, to_store.port)
        kind = name.partition("-")[0]
        variables = {"REDIS_URL": url}
        command: tuple[str, ...] = (kind,)
        if kind == "service":
            port = free_port()
            variables |= {"GRPC_PORT": str(port), "BIND_HOST": host.there}
            self.to_services[name] = await Proxy(port, host.there).open()
        elif kind == "worker":
            command = (kind, "--queues", ",".join(QUEUES))
        member = self.members[name] = Member(name, command, variables, nursery, to_store)
        member.keeper = asyncio.create_task(self._keep(member))

    async def _keep(self, member: Member) -> None:
        """Starts the process, and again whenever it ends."""
        while True:
            log = self.home / f"{member.name}.log"
            pid = await member.nursery.start(member.name, *member.command, log=log, **member.variables)
            member.started = time.monotonic()
            self.history.write("process", "started", name=member.name, pid=pid)
            await member.nursery.ended(member.name, pid)
            self._frozen.discard(pid)
            self.history.write("process", "ended", name=member.name, pid=pid)
            await asyncio.sleep(0.02)

    async def _ready(self, name: str) -> None:
        """Its log tells that it has started."""
        path = self.home / f"{name}.log"
        async with asyncio.timeout(90):
            while not path.exists() or "_started" not in path.read_text():
                await asyncio.sleep(0.05)

    def pid(self, name: str) -> int | None:
        return self.members[name].nursery.pids.get(name) if name in self.members else None

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def freeze(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._frozen.add(pid)

    def thaw(self, pid: int) -> bool:
        """Whether it was there to be thawed."""
        self._frozen.discard(pid)
        if not runs(pid):
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        return True

    async def store_handle(self) -> Store:
        """The driver's own access to the store, by no proxy."""
        return await Store.open(self.settings)

    async def close(self) -> None:
        for pid in list(self._frozen):
            self.thaw(pid)
        for member in self.members.values():
            if member.keeper is not None:
                member.keeper.cancel()
        await asyncio.gather(*(m.keeper for m in self.members.values() if m.keeper), return_exceptions=True)
        for nursery in self._nurseries:
            await nursery.close()
        for proxy in (*(m.to_store for m in self.members.values()), *self.to_services.values()):
            if proxy is not None:
                await proxy.close()
        self.store.stop()
        for taken in (self.other, self.disk):
            if taken is not None:
                taken.close()


async def watch_lag(history: History, told: Mapping[str, float]) -> None:
    """Writes down when this process was not let run: other processes were not either."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(told["every"])
        late = (time.monotonic() - began - told["every"]) * 1000
        if late > told["from_ms"]:
            history.write("lag", ms=late)
