"""What the servers beside our own processes hold: keys and clients of the store, connections of database and gateway."""

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis

from tests.soak.readings import Census
from tests.telemetry.exposed import fetch

KEY = re.compile(r"(?P<prefix>[^:]+):\{(?P<scope>.+)/0\}:(?P<name>.+)")
SIZE = {"hash": "hlen", "zset": "zcard", "set": "scard", "list": "llen", "stream": "xlen", "string": "exists"}
OF_A_SCHEDULE = ("runs", "fired", "slots", "faults")
MADE, LOCKS = "made", "locks"
"""Folders of what a storage root records of the files that jobs make."""
LOCK_FILES = 256
ENTRY_SECONDS = 2 * 3600
"""After which the entry of a file that is gone has been dropped."""
EVENTS = 10_200
"""What a stream may hold: it is trimmed where that is cheap."""
BOUNDED = {"events": EVENTS, "rates": 6, "meta": 24}
"""Keys that keep the latest, or fields of a fixed set, up to a number."""
REMEMBERED = ("requests", "request_times", "ids", "gone")
"""Keys of names that are remembered for an hour or a day."""
MADE_BY_US = re.compile(r"repeat-|alert-|trigger-")


@dataclass
class Names:
    """What callers have named: it may be remembered, and nothing else."""

    requests: int = 0
    """Request ids that were answered for, and those whose answer nobody heard."""
    jobs: set[str] = field(default_factory=set)


def store(census: Census, client: "redis.Redis", names: Names) -> None:
    """Keys by how many things they have, without what retention and bounds let them have, and clients."""
    kept = {"requests": 0, "ids": 0, "unknown names": 0, "names without an end": 0}
    held = 0
    for key in client.scan_iter(count=1000):
        match = KEY.fullmatch(_text(key))
        if match is None:
            census.count("store", f"keys {_text(key)}", 1)
            continue
        scope, name = match["scope"], match["name"]
        kind = _text(client.type(key))
        if kind == "none":
            continue
        size, used = int(getattr(client, SIZE[kind])(key)), int(client.memory_usage(key, samples=0) or 0)
        if name in BOUNDED or name in REMEMBERED:
            held += used
            census.empty("store", f"{scope} {name} beyond its bound", max(0, size - BOUNDED.get(name, size)))
        elif scope == "schedules" and name in OF_A_SCHEDULE:
            held += used
            schedules = client.hlen(key[: -len(name)] + b"records")
            census.empty("store", f"{name} of schedules that are gone", max(0, size - int(schedules)))
        elif client.pttl(key) > 0:
            held += used
        else:
            census.count("store", "keys", 1)
            census.count("store", f"{scope} {name}", size)
            census.bytes("store", "bytes in keys", used)
        if name == "requests":
            kept["requests"] += size
            times = key[: -len(name)] + b"request_times"
            kept["names without an end"] += size - client.zcount(times, time.time() * 1000 - 60_000, "+inf")
        elif name == "ids":
            _ids(client, key, names.jobs, kept)
    _told(census, kept, names)
    stats = client.memory_stats()
    # By its own count: what it has from the system also depends on how what is remembered lies among the rest.
    census.bytes("valkey", "memory in use", stats["total.allocated"] - held - _of_clients(stats))
    census.held["bytes of names that are remembered, of the latest events and rates"] = held
    _clients(census, client)


def _ids(client: "redis.Redis", key: bytes, known: Collection[str], kept: dict[str, int]) -> None:
    """Names that jobs were given: each is known, and ends."""
    names = {_text(name) for name in client.hkeys(key)}
    ends = {_text(name) for name in client.zrangebyscore(key[:-3] + b"gone", time.time() * 1000, "+inf")}
    kept["ids"] += len(names)
    kept["names without an end"] += len(names ^ ends)
    kept["unknown names"] += sum(not MADE_BY_US.match(name) for name in names - {*known})


def _told(census: Census, kept: dict[str, int], names: Names) -> None:
    census.empty("store", "request ids that nobody used", max(0, kept["requests"] - names.requests))
    census.empty("store", "job ids that nobody used", kept["unknown names"])
    census.empty("store", "names without an end", kept["names without an end"])
    census.held["request ids that are remembered"] = kept["requests"]
    census.held["job ids that are remembered"] = kept["ids"]


def _of_clients(stats: Mapping[str, int]) -> int:
    """Buffers of connections, as many as were ever in use, and of what is to be written."""
    return stats["clients.normal"] + stats["clients.slaves"] + stats["aof.buffer"]


def _clients(census: Census, client: "redis.Redis") -> None:
    blocked = Counter(one["cmd"] for one in client.client_list() if "b" in one["flags"])
    for command, number in blocked.items():
        census.usual("store", f"clients blocked in {command}", number)


def database(census: Census, pid: int, pooled: float) -> None:
    """Its processes for connections, without those of pools, which are counted there."""
    serving = sum("(" in _title(child) for child in psutil.Process(pid).children())
    census.usual("postgres", "connections from callers of database", max(0, serving - pooled))


def _title(process: psutil.Process) -> str:
    """Of one that serves a connection it tells the other end: postgres: user database 127.0.0.1(4711) idle."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def gateway(census: Census, admin_port: int) -> None:
    """What passes through Envoy now, and its memory, by its own count."""
    _, body, _ = fetch(admin_port, "/stats?filter=(cx|rq)_active$")
    for name, number in re.findall(r"^(\S+): (\d+)$", body.decode(), re.MULTILINE):
        census.count("envoy", name, int(number))
    _, body, _ = fetch(admin_port, "/memory")
    told = {name: int(number) for name, number in re.findall(r'"(\w+)": "(\d+)"', body.decode())}
    census.bytes("envoy", "memory in use", told["allocated"])


def files(census: Census, home: Path) -> None:
    """Files in the storage roots, without what is kept: the entries of files made within the last hour, and mails."""
    for root in ("uploads", "temp", "exports", "backups"):
        found = [path for path in (home / root).rglob("*") if path.is_file()]
        entries = {path for path in found if MADE in path.parts}
        old = sum(path.lstat().st_mtime < time.time() - ENTRY_SECONDS for path in entries)
        census.empty("files", f"entries of files that are gone from {root}", old)
        locks = {path for path in found if LOCKS in path.parts}
        census.empty("files", f"locks in {root} beyond their bound", max(0, len(locks) - LOCK_FILES))
        stay = [path for path in found if path not in entries | locks]
        census.count("files", root, len(stay))
        census.bytes("files", f"bytes in {root}", sum(path.stat().st_size for path in stay))
        census.held["entries of files made"] = census.held.get("entries of files made", 0) + len(entries)
    census.held["mails in the outbox"] = sum(1 for _ in (home / "outbox").glob("*"))


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def ports(home: Path) -> dict[str, int]:
    """Those of the embedded servers."""
    known: dict[str, int] = json.loads((home / "run" / "ports.json").read_text("utf-8"))
    return known
