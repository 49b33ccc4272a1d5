"""What is done to the processes, their ways and their store. A fault counts only if its victim held a job or a call."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from tests.chaos.history import History
from tests.chaos.hosts import NamespaceHost
from tests.chaos.ledger import Ledger
from tests.chaos.proxy import Proxy, Way
from tests.chaos.rig import ELSEWHERE, SCHEDULERS, SERVICES, WORKERS, Rig
from tests.chaos.stores import Failing, OneServer
from tests.conftest import ValkeyServer

SETTLED = 3.0
"""Seconds that a process has to have run: one that is hit as soon as it starts does no work that could be lost."""
WAIT_FOR_WORK = 4.0
"""Seconds within which a victim has to hold something; otherwise the fault is missed."""


@dataclass
class Stage:
    """Where faults happen."""

    rig: Rig
    ledger: Ledger
    history: History
    busy: set[str] = field(default_factory=set)
    """Victims of faults under way."""

    async def held(self, name: str) -> list[Any]:
        """What a victim holds, once it holds anything; empty if that takes too long."""
        deadline = time.monotonic() + WAIT_FOR_WORK
        while not (found := self.holds(name)) and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        return found

    def holds(self, name: str) -> list[Any]:
        """Jobs of a worker; for a service how many calls; for others how many ways on which an answer is awaited."""
        rig = self.rig
        if name == "store":
            self.ledger.look()
            waiting = sum(member.to_store.calls for member in rig.members.values() if member.to_store)
            running = sum(len(starts) for starts in self.ledger.running.values())
            return [f"{waiting} calls, {running} jobs"] if waiting or running else []
        pid = rig.pid(name)
        if pid is None or time.monotonic() < rig.members[name].started + SETTLED:
            return []
        if name in WORKERS:
            self.ledger.look()
            return sorted(self.ledger.running[pid])
        way = rig.members[name].to_store
        # Without a proxy nobody knows what a scheduler is at: it asks the store again and again.
        calls = self.ledger.calls[name] if name in SERVICES else way.calls if way else 1
        return [f"{calls} calls"] if calls else []


@dataclass(frozen=True)
class Fault:
    """One fault as it was drawn."""

    kind: str
    victim: str
    seconds: float


Strike = Callable[[Stage, Fault, dict[str, Any]], Awaitable[None]]
"""Does it and takes it back. What it adds to the dict stands in the history."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault."""

    victims: tuple[str, ...]
    seconds: tuple[float, float]
    strike: Strike
    weight: float = 1
    """How often it is drawn, beside the others."""
    needs: str = ""
    """`root`, or a store of several `servers`."""


async def strike(stage: Stage, fault: Fault, number: int) -> bool:
    """Begins and ends one fault; whether it counts."""
    kind, history = KINDS[fault.kind], stage.history
    told: dict[str, Any] = {"fault": fault.kind, "victim": fault.victim, "number": number}
    held = await stage.held(fault.victim)
    if not held:
        history.write("fault", "missed", **told)
        return False
    history.write("fault", "begun", **told, held=held, seconds=fault.seconds, pid=stage.rig.pid(fault.victim))
    found: dict[str, Any] = {}
    await kind.strike(stage, fault, found)
    history.write("fault", "ended", **told, **found)
    return bool(found.get("counts", True))


def draw(kinds: list[str], chance: random.Random, busy: set[str]) -> Fault | None:
    """The next fault, whose victim is no other's at the time."""
    (name,) = chance.choices(kinds, [KINDS[name].weight for name in kinds])
    kind = KINDS[name]
    victim = chance.choice(kind.victims)
    seconds = chance.uniform(*kind.seconds)
    return None if victim in busy else Fault(name, victim, seconds)


async def _kill(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    pid = stage.rig.pid(fault.victim)
    if pid is None:
        told["counts"] = False
        return
    stage.rig.kill(pid)
    while stage.rig.pid(fault.victim) == pid:
        await asyncio.sleep(0.01)
    if fault.victim in WORKERS:
        stage.ledger.look()
        lost = sorted(stage.ledger.died_with.get(pid, ()))
        told.update(counts=bool(lost), lost=lost)


async def _stop(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    pid = stage.rig.pid(fault.victim)
    if pid is None:
        told["counts"] = False
        return
    stage.rig.freeze(pid)
    held = stage.holds(fault.victim)  # it can add nothing now
    await asyncio.sleep(fault.seconds)
    thawed_at = stage.history.write("thaw", victim=fault.victim, pid=pid, held=held, seconds=fault.seconds)
    alive = stage.rig.thaw(pid)
    told.update(counts=bool(held) and alive, pid=pid, held=held, thawed_at=thawed_at)


def _way(stage: Stage, victim: str) -> Proxy:
    """The way of a process to the store; of a client to its service, where the victim is a service."""
    return stage.rig.to_services[victim] if victim in SERVICES else _to_store(stage, victim)


def _to_store(stage: Stage, victim: str) -> Proxy:
    way = stage.rig.members[victim].to_store
    assert way is not None, "these faults are for a store that is reached by proxies"
    return way


def _server(stage: Stage) -> ValkeyServer:
    assert isinstance(stage.rig.store, OneServer)
    return stage.rig.store.server


async def _cut(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    way = _way(stage, fault.victim)
    told["cut"] = way.cut()
    way.way = Way.REFUSED
    await asyncio.sleep(fault.seconds)
    way.way = Way.OPEN


async def _cut_store(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    """A service's own way to the store, and not its clients' way to it."""
    way = _to_store(stage, fault.victim)
    told["cut"] = way.cut()
    await asyncio.sleep(fault.seconds)


async def _halve(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    told["halved"] = _way(stage, fault.victim).halve()
    await asyncio.sleep(fault.seconds)


async def _delay(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    way = _way(stage, fault.victim)
    way.way, way.seconds = Way.DELAYED, min(fault.seconds / 4, 0.6)
    await asyncio.sleep(fault.seconds)
    way.way = Way.OPEN
    told["by"] = way.seconds


async def _black_hole(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    way = _way(stage, fault.victim)
    way.way = Way.BLACK_HOLE
    await asyncio.sleep(fault.seconds)
    way.way = Way.OPEN
    told["halved"] = way.halve()


async def _kill_store(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    await asyncio.to_thread(_server(stage).kill)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(_server(stage).start)


async def _restart_store(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    server = _server(stage)
    assert server.process is not None
    server.process.terminate()
    await asyncio.to_thread(server.process.wait, 20)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(_server(stage).start)


async def _stop_store(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    server = _server(stage)
    assert server.process is not None
    stage.rig.freeze(server.process.pid)
    await asyncio.sleep(fault.seconds)
    stage.rig.thaw(server.process.pid)


async def _slow_store(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    """It stands still again and again, for less than a caller's patience."""
    client = _own_client(stage)
    end = asyncio.get_running_loop().time() + fault.seconds
    try:
        while asyncio.get_running_loop().time() < end:
            await client.execute_command("DEBUG", "SLEEP", "0.15")
            await asyncio.sleep(0.01)
    finally:
        await client.aclose()


def _own_client(stage: Stage) -> Redis:
    """The driver's own, which waits for a store on a busy machine for as long as it takes."""
    return Redis.from_url(stage.rig.store.url, decode_responses=True, socket_timeout=60)


def _configured(**changes: str) -> Strike:
    """The store with other settings for a while."""

    async def act(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
        client = _own_client(stage)
        names = [name.replace("_", "-") for name in changes]
        try:
            before = await client.config_get(*names)
            for name, value in zip(names, changes.values(), strict=True):
                await client.config_set(name, value)
            await asyncio.sleep(fault.seconds)
            for name in names:
                await client.config_set(name, before[name])
        finally:
            await client.aclose()

    return act


async def _read_only(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    """It becomes the replica of a server that is not there."""
    client = _own_client(stage)
    try:
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")
        await asyncio.sleep(fault.seconds)
        await client.execute_command("REPLICAOF", "NO", "ONE")
    finally:
        await client.aclose()


async def _full_disk(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    """A server that acknowledges nothing before it is on the disk ends then, and is started again once there is room."""
    disk, server = stage.rig.disk, _server(stage)
    assert disk is not None
    await asyncio.to_thread(disk.fill)
    await asyncio.sleep(fault.seconds)
    told["ended"] = server.ended
    disk.free()
    if server.ended:
        await asyncio.to_thread(server.start)


async def _partition(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    """The other host is cut off from everybody: from the store, and from those who call its service."""
    host = stage.rig.other
    assert isinstance(host, NamespaceHost)
    told["held"] = {name: stage.holds(name) for name in ELSEWHERE}
    host.part()
    await asyncio.sleep(fault.seconds)
    host.join()


async def _fail_over(stage: Stage, fault: Fault, told: dict[str, Any]) -> None:
    store = stage.rig.store
    assert isinstance(store, Failing)
    told["took"] = await asyncio.to_thread(store.fail_over)


_EVERYBODY = (*SERVICES, *WORKERS, *SCHEDULERS)
KINDS: dict[str, Kind] = {
    "kill worker": Kind(WORKERS, (0, 0), _kill, weight=4),
    "kill service": Kind(SERVICES, (0, 0), _kill),
    "kill scheduler": Kind(SCHEDULERS, (0, 0), _kill),
    "kill store": Kind(("store",), (0, 0.5), _kill_store, weight=0.7),
    "stop worker": Kind(WORKERS, (1.0, 5.5), _stop),
    "stop service": Kind(SERVICES, (0.5, 4), _stop),
    "stop scheduler": Kind(SCHEDULERS, (0.5, 4), _stop),
    "stop store": Kind(("store",), (0.5, 4), _stop_store),
    "cut": Kind(_EVERYBODY, (0, 2), _cut),
    "cut service from store": Kind(SERVICES, (0, 0.2), _cut_store),
    "half-open": Kind(_EVERYBODY, (0, 1), _halve),
    "delay": Kind(_EVERYBODY, (1, 4), _delay),
    "black hole": Kind(_EVERYBODY, (1, 6), _black_hole),
    "restart store": Kind(("store",), (0, 0.5), _restart_store),
    "slow store": Kind(("store",), (1, 4), _slow_store),
    "full store": Kind(("store",), (1, 3), _configured(maxmemory="1mb")),
    "unable store": Kind(("store",), (1, 3), _configured(min_replicas_to_write="1")),
    "read-only store": Kind(("store",), (1, 3), _read_only),
    "full disk": Kind(("store",), (0.5, 2), _full_disk, needs="root"),
    "partition": Kind(("worker-3",), (1, 8), _partition, needs="root"),
    "fail over": Kind(("store",), (0, 0), _fail_over, needs="servers"),
}
