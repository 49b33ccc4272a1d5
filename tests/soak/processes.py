"""What the system and the processes themselves tell of the processes of a stack."""

import json
import re
import socket
import stat
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from base.settings import PROJECT
from tests.soak.readings import OBJECTS, Census
from tests.telemetry.exposed import scrape

INSIDE = PROJECT / "tests" / "soak" / "inside"
POOLED_THREADS = re.compile(
    r"asyncio_\d+|AnyIO worker thread|ThreadPoolExecutor-.*|soak|Thread-\d+ \(process_request_thread\)"
)
"""Threads of bounded pools, which start some as they are needed and keep them, and of the census itself."""
GRPC_THREADS = frozenset({"event_engine"})
"""Those of gRPC's own pool, by the system's name for them: as many as were ever needed at once."""
OURS = frozenset({"base", "contract", "engine", "service", "workers", "families", "stack"})
"""Of these rooms' types each object is counted."""
CONNECTION = "engine.connecting._Plain"
PINNED = frozenset({"service.interceptor.call.Call", "service.auth.Principal"})
"""Each connection remembers the call in which it was opened, and whose it was."""
POOLS = {"store": "store", "heartbeat": "store", "database": "database", "smtp": "smtp"}
"""By the name of a pool, to whom its connections lead."""


@dataclass(frozen=True)
class Ports:
    """Which port of the stack is whose."""

    names: Mapping[int, str]

    def kind(self, connection: Any) -> str:
        """Of a socket: to whom, from whom, or for whom it waits."""
        local, remote = connection.laddr, connection.raddr
        if not remote:
            return "sockets that listen"
        if remote.port in self.names:
            return f"connections to {self.names[remote.port]}"
        return f"connections from callers of {self.names.get(local.port, 'nobody known')}"


def probes() -> Path:
    """A folder for the sockets of the processes' insides; its name is short, as theirs must be."""
    return Path(tempfile.mkdtemp(prefix="soak-"))


def outside(census: Census, name: str, pid: int, ports: Ports, pooled: Mapping[str, int]) -> None:
    """What the system tells. `pooled` are the connections of pools, by whom they lead to; some may be closed by now."""
    process = psutil.Process(pid)
    sockets = Counter(ports.kind(one) for one in process.net_connections(kind="inet"))
    census.count(name, "descriptors", process.num_fds() - sum(sockets.values()))
    for kind, number in sockets.items():
        if name == "valkey" and kind == "connections from callers of store":
            continue  # counted where they come from, as many are kept in reserve there
        of_pools = pooled.get(kind.rpartition(" ")[2], 0) if kind.startswith("connections to ") else 0
        census.usual(name, f"{kind} outside of pools" if of_pools else kind, max(0, number - of_pools))
    for kind, number in _files(pid).items():
        census.count(name, kind, number)
    census.count(name, "zombies", sum(child.status() == psutil.STATUS_ZOMBIE for child in process.children()))


def _files(pid: int) -> Counter[str]:
    """Open files by folder."""
    found: Counter[str] = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = entry.readlink()
            if target.is_absolute() and stat.S_ISREG(entry.stat().st_mode):
                found[f"files open in {target.parent.name}"] += 1
        except OSError:  # closed meanwhile
            continue
    return found


def _word(task: Path) -> str:
    try:
        return (task / "comm").read_text("utf-8").strip()
    except OSError:  # ended meanwhile
        return ""


def memory(pid: int) -> int:
    """Its memory that is no file's: what it has allocated."""
    kilobytes = re.search(r"^RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text("ascii"), re.MULTILINE)
    return int(kilobytes[1]) * 1024 if kilobytes else 0


def inside(census: Census, name: str, pid: int, folder: Path) -> None:
    """What the process tells of itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(60)
        line.connect(str(folder / str(pid)))
        held = json.loads(b"".join(iter(lambda: line.recv(1 << 20), b"")))
    for identity, coroutine in held["tasks"].items():
        census.lasting[name, identity] = f"tasks {coroutine}"
    kinds = held["kinds"]
    connections = kinds.pop(CONNECTION, 0)  # counted as connections
    for kind, number in kinds.items():
        if kind.partition(".")[0] in OURS:
            census.count(name, OBJECTS + kind, max(0, number - connections) if kind in PINNED else number)
    native = sum(_word(task) not in GRPC_THREADS for task in Path(f"/proc/{pid}/task").iterdir()) - len(held["threads"])
    lasting = Counter(thread for thread in held["threads"] if not POOLED_THREADS.fullmatch(thread))
    census.count(name, "threads", native + lasting.total())
    census.bytes(name, "memory", memory(pid))
    census.bytes(name, "memory in use", held["heap"])
    census.kinds[name] = kinds


def pools(census: Census, name: str, port: int) -> Counter[str]:
    """Counts the connections of a process's pools that are in use; all of them, by whom they lead to."""
    page = scrape(port)
    found: Counter[str] = Counter()
    for pool, to in POOLS.items():
        busy, idle = (page.value("qjobs_pool_connections", pool=pool, state=state) for state in ("busy", "idle"))
        census.usual(name, f"connections of the pool {pool} in use", busy)
        found[to] += int(busy + idle)
    return found
