"""One part of a run: everything is started, broken by a plan for a while, healed, and left to finish; then it is judged."""

import asyncio
import contextlib
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.chaos import ending
from tests.chaos.checker import Story, judge, measured
from tests.chaos.clients import Clients, Service
from tests.chaos.faults import Fault, Stage, draw, strike
from tests.chaos.history import History, read
from tests.chaos.hosts import Host, MissingError, NamespaceHost, SmallDisk
from tests.chaos.ledger import Ledger
from tests.chaos.rig import QUEUES, Rig, watch_lag
from tests.chaos.stores import Cluster, OneServer, SentinelPair, StoreUnderTest
from tests.chaos.tap import Tap

COMBINED = 0.5
"""How often another fault begins while one is under way."""

STORES: dict[str, Callable[[Path], StoreUnderTest]] = {
    "one": OneServer,
    "everysec": partial(OneServer, everysec=True),
    "sentinel": SentinelPair,
    "cluster": Cluster,
}


@dataclass(frozen=True)
class Part:
    """What to do."""

    seed: int
    faults: Sequence[str]
    """Kinds."""
    enough: int
    """Ends once so many faults have counted."""
    seconds: float
    """Or after this time."""
    store: str = "one"
    """Of STORES."""
    ahead: float = 0.0
    """Seconds by which the clock of the other host is set ahead."""
    settle: float = 90.0
    """Seconds within which all calls are answered, once all is healed, then all work is done, and all watchers see the end."""
    pause: tuple[float, float] = (0.05, 0.5)
    """Between two faults."""


@dataclass
class Result:
    """What came of it."""

    counted: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[str]] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    jobs: int = 0
    events: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    """What kept the part itself from going on."""

    @property
    def holds(self) -> bool:
        return not self.broken and not self.errors


def rig_for(part: Part, home: Path, history: History) -> Rig:
    """What the part's faults need."""
    folder = home / "valkey"
    disk = SmallDisk(folder) if "full disk" in part.faults else None
    other: Host | None = None
    if "partition" in part.faults:
        other = NamespaceHost(skew_seconds=part.ahead)
    elif part.ahead:
        other = Host(skew_seconds=part.ahead)
    return Rig(home, history, STORES[part.store](folder), other, disk)


async def run(part: Part, home: Path) -> Result:
    """Runs a part in an empty folder, where its history and logs are left."""
    began = time.monotonic()
    home.mkdir(parents=True, exist_ok=True)
    history, result = History(home / "history.jsonl"), Result()
    rig = rig_for(part, home, history)
    try:
        await _through(part, rig, history, result)
    except MissingError:
        raise
    except Exception as error:  # noqa: BLE001  (printed, and the verdict)
        # Such as what the store answers to the driver itself. Without its end the history cannot be judged.
        traceback.print_exc()
        result.errors.append(f"ended early: {type(error).__name__}: {error}")
    else:
        story = Story(read(history.path), rig.lease * 1000, lossy=rig.store.lossy)
        result.broken, result.measured = judge(story), measured(story)
    finally:
        await rig.close()
        history.close()
    result.seconds = time.monotonic() - began
    return result


async def _through(part: Part, rig: Rig, history: History, result: Result) -> None:
    await rig.open()
    ledger, store = Ledger(history), await rig.store_handle()
    services = [Service(name, way.port, rig.token, ledger) for name, way in rig.to_services.items()]
    clients = Clients(history, ledger, services, random.Random(f"clients {part.seed}"))
    schedules = ending.Minutely(store)
    tap = Tap(store, QUEUES, history, "seen" if rig.store.lossy else "event")
    try:
        await schedules.make()
        background = [
            asyncio.create_task(tap.run()),
            asyncio.create_task(watch_lag(history, {"every": 0.05, "from_ms": 100})),
            asyncio.create_task(_look_on(ledger)),
        ]
        calling = asyncio.create_task(clients.run())
        try:
            await _break(part, Stage(rig, ledger, history), result, calling)
            clients.stopping.set()
            await schedules.stop()
            await asyncio.wait({calling}, timeout=part.settle)
            if not calling.done():
                result.errors.append(f"a caller had no answer {part.settle:.0f} s after the last fault")
            else:
                await calling
            if not await ending.all_done(store, QUEUES, part.settle, clients.resume):
                result.errors.append(f"not all work was done {part.settle:.0f} s after the last fault")
            await clients.watched(part.settle)
        finally:
            for task in (calling, *background):
                task.cancel()
            await asyncio.gather(calling, *background, return_exceptions=True)
        if rig.store.lossy:  # what counts is what it has kept
            tap = Tap(store, QUEUES, history)
        await tap.catch_up()
        if rig.store.lossy and not tap.whole:
            result.errors.append("the part was too long: the store has forgotten its first events")
        await schedules.write_down(history)
        await ending.write_final(store, QUEUES, history)
        result.jobs, result.events = sum(ledger.acknowledged.values()), tap.events
    finally:
        for service in services:
            await service.close()
        await store.close()


async def _look_on(ledger: Ledger) -> None:
    while True:
        ledger.look()
        await asyncio.sleep(0.05)


async def _break(part: Part, stage: Stage, result: Result, calling: "asyncio.Task[None]") -> None:
    """Draws fault after fault from the seed, and waits until all are taken back."""
    chance = random.Random(f"faults {part.seed}")
    deadline = time.monotonic() + part.seconds
    under_way: set[asyncio.Task[None]] = set()
    number = 0

    async def one(fault: Fault, number: int) -> None:
        counts = await strike(stage, fault, number)
        (result.counted if counts else result.missed)[fault.kind] += 1
        stage.busy.discard(fault.victim)

    while time.monotonic() < deadline and result.counted.total() < part.enough and not calling.done():
        fault = draw(list(part.faults), chance, stage.busy)
        if fault is not None:
            stage.busy.add(fault.victim)
            number += 1
            under_way.add(asyncio.create_task(one(fault, number)))
        if under_way and (fault is None or chance.random() > COMBINED):
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        await asyncio.sleep(chance.uniform(*part.pause))
    for task in under_way:
        await task
    if calling.done():
        with contextlib.suppress(asyncio.CancelledError):
            await calling
