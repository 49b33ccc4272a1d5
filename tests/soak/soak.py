"""One soak: a stack, a warm-up, the baseline, the load, and what is left of it."""

import asyncio
import contextlib
import importlib
import pkgutil
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import redis
from PIL import Image

from stack.ports import LOOPBACK
from tests.soak import actions, processes, quiet, servers
from tests.soak.callers import Crew, Ledger
from tests.soak.readings import Census, Row, compared, leaks
from tests.stack.running import RunningStack, environment, ports_in_a_row

WORKERS = 2
FOREIGN = ("valkey", "postgres", "envoy")
"""The servers, whose insides are known by their own words alone."""
WARM_UP_CALLERS = 2
"""Times as many callers before the baseline: pools, caches and memory have then been as large as they will be."""
START_SECONDS = 300
RETENTION = {
    "QUEUE_MIN_RETENTION": 2,
    "RETENTION_COMPLETED_HOURS": 0.002,
    "RETENTION_FAILED_DAYS": 0.0001,
    "EXPORT_RETENTION_DAYS": 0.0002,
}
"""Seconds each."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """What a soak has found."""

    seed: int
    rows: list[Row]
    before: Census
    after: Census
    ledger: Ledger
    restarts: list[str]

    @property
    def leaks(self) -> list[Row]:
        return leaks(self.rows)

    @property
    def clean(self) -> bool:
        return not self.leaks and not self.ledger.failures and not self.restarts


@contextlib.asynccontextmanager
async def running(home: Path, probes: Path) -> AsyncIterator[RunningStack]:
    """A whole stack of its own, whose jobs stay for seconds."""
    told = environment(
        home,
        WORKERS=WORKERS,
        SAMPLE_DATA="true",
        BOARD_ENABLED="true",
        QUEUE_LEASE_SECONDS=5,
        REDIS_MAX_CONNECTIONS=40,  # few enough for the warm-up to open them all
        SOAK_PROBES=str(probes),
        **RETENTION,
    )
    told["METRICS_PORT"] = str(ports_in_a_row(WORKERS + 2, told.values()))
    told["PYTHONPATH"] += f":{processes.INSIDE}"
    stack = RunningStack(home, told)
    stack.start()
    try:
        await stack.ready(START_SECONDS)
        furnish(home)
        yield stack
    finally:
        stack.discard()


def furnish(home: Path) -> None:
    """What jobs work on."""
    (home / "uploads" / "soaked").mkdir(mode=0o750)
    Image.effect_noise((640, 480), 50).save(home / "uploads" / "soak.png")


@dataclass
class Inspector:
    """Takes the census of one stack."""

    stack: RunningStack
    probes: Path
    ledger: Ledger

    def __post_init__(self) -> None:
        config = dict(
            line.split(" ", 1) for line in (self.stack.home / "run" / "valkey.conf").read_text("utf-8").splitlines()
        )
        self.client = redis.Redis(LOOPBACK, int(config["port"]), 1, config["requirepass"])
        told = {name: int(value) for name, value in self.stack.told.items() if name.endswith("_PORT")}
        embedded = servers.ports(self.stack.home)
        self.ports = processes.Ports(
            {
                told["REST_PORT"]: "gateway",
                told["GRPC_PORT"]: "service",
                told["ENVOY_ADMIN_PORT"]: "admin",
                int(config["port"]): "store",
                embedded["mail"]: "smtp",
                embedded["postgres"]: "database",
            }
        )
        names = ("service-1", *(f"worker-{number}" for number in range(1, WORKERS + 1)), "scheduler")
        self.metrics = {name: told["METRICS_PORT"] + place for place, name in enumerate(names)}
        self.admin = told["ENVOY_ADMIN_PORT"]

    async def take(self) -> Census:
        return await asyncio.to_thread(self._take)

    def _take(self) -> Census:
        census = Census()
        assert self.stack.process is not None
        pools = {name: processes.pools(census, name, port) for name, port in self.metrics.items()}
        for name, pid in {**self.stack.pids, "qjobs up": self.stack.process.pid}.items():
            processes.outside(census, name, pid, self.ports, pools.get(name, {}))
            if name not in FOREIGN:
                processes.inside(census, name, pid, self.probes)
        servers.store(census, self.client, self.ledger.names)
        servers.database(census, self.stack.pids["postgres"], sum(each["database"] for each in pools.values()))
        servers.gateway(census, self.admin)
        servers.files(census, self.stack.home)
        return census


def load_actions() -> None:
    for module in pkgutil.iter_modules(actions.__path__):
        importlib.import_module(f"{actions.__name__}.{module.name}")


async def soak(home: Path, *, seconds: float, warm_up: float, seed: int, callers: int, say: Say) -> Report:
    """Starts a stack, and loads it for so many seconds."""
    probes = processes.probes()
    try:
        async with running(home, probes) as stack:
            say("ready")
            return await soaked(stack, probes, seconds=seconds, warm_up=warm_up, seed=seed, callers=callers, say=say)
    finally:
        shutil.rmtree(probes, ignore_errors=True)


async def soaked(
    stack: RunningStack, probes: Path, *, seconds: float, warm_up: float, seed: int, callers: int, say: Say
) -> Report:
    """Loads the stack after a warm-up, and compares what it holds before and afterwards."""
    load_actions()
    began = dict(stack.pids)
    secret = (stack.home / "run" / "jwt.secret").read_text("utf-8")
    crew = Crew(int(stack.told["REST_PORT"]), int(stack.told["GRPC_PORT"]), secret, seed)
    inspector = Inspector(stack, probes, crew.ledger)

    async def work(what: str, callers: int, seconds: float) -> None:
        say(f"{what}: {callers} callers for {seconds:.0f} s")
        done = crew.ledger.done.total()
        await crew.work(callers, seconds)
        say(f"{crew.ledger.done.total() - done} actions were taken; waiting until the stack is idle")
        await quiet.idle(stack)
        say("it is; taking the census")

    await work("warm-up", callers * WARM_UP_CALLERS, warm_up)
    before = await quiet.settled(inspector.take, say=say)
    await work("load", callers, seconds)
    after = await quiet.back_at(before, inspector.take, say=say)
    restarts = [f"{name} was started again" for name, pid in stack.pids.items() if began[name] != pid]
    return Report(seed, compared(before, after), before, after, crew.ledger, restarts)
