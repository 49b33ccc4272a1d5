"""`python -m tests.chaos`: runs parts until enough faults have counted, and keeps what came of each.

Resumable: build/chaos/results.jsonl has a line for each part, with commit and seed. The history of a part that broke a promise
stays in build/chaos; its seed draws the same faults again.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import uvloop

from base.settings import PROJECT
from tests.chaos.faults import KINDS
from tests.chaos.hosts import MissingError
from tests.chaos.run import STORES, Part, Result, run

FOLDER = PROJECT / "build" / "chaos"
RESULTS = FOLDER / "results.jsonl"
TURNS = (("one", 0.0), ("sentinel", 0.0), ("one", 90.0), ("cluster", 0.0), ("one", -90.0), ("everysec", 0.0))
"""Stores, and by how many seconds another host's clock is ahead, one part after the other."""


def main() -> int:
    told = _arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    began, number, failed, counted = time.monotonic(), 0, 0, Counter[str]()
    while counted.total() < told.enough and time.monotonic() < began + told.minutes * 60:
        seed = told.seed + number
        number += 1
        left = began + told.minutes * 60 - time.monotonic()
        enough, seconds = min(told.part, told.enough - counted.total()), min(told.part_seconds, left)
        store, ahead = TURNS[(number - 1) % len(TURNS)] if told.store == "each" else (told.store, told.ahead)
        kinds = _kinds(told.faults, store)
        part = Part(seed, kinds, enough, seconds, store, ahead, told.settle)
        home = FOLDER / f"part-{seed}-{time.strftime('%H%M%S')}"
        print(f"part {seed}, store {store}, another clock ahead by {ahead:g} s: {', '.join(kinds)}", flush=True)
        try:
            result = uvloop.run(run(part, home))
        except MissingError as error:
            sys.exit(str(error))
        counted += result.counted
        failed += not result.holds
        _keep(part, result)
        _tell(result, home)
        if result.holds:
            shutil.rmtree(home)
    print(f"{number} parts, {failed} failed; counted: {_listed(counted)}")
    return int(bool(failed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--faults", default="all", help="kinds, or beginnings of kinds, separated by commas")
    parser.add_argument("--store", choices=["each", *STORES], default="each")
    parser.add_argument(
        "--ahead", type=float, default=0.0, help="seconds by which another host's clock is ahead, with a --store"
    )
    parser.add_argument("--enough", type=int, default=1_000_000, help="faults that have to count")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--part", type=int, default=150, help="faults that end a part")
    parser.add_argument("--part-seconds", type=float, default=180.0)
    parser.add_argument("--settle", type=float, default=90.0, help="seconds that all may take to come to rest")
    return parser.parse_args()


def _kinds(told: str, store: str) -> list[str]:
    """The kinds that are meant, of those that there are for this store."""
    several = store not in {"one", "everysec"}
    of_one = ("kill", "stop worker", "stop service", "stop scheduler") if several or store == "everysec" else ("",)
    there = [kind for kind, of in KINDS.items() if kind.startswith(of_one) or (several and of.needs == "servers")]
    there = [kind for kind in there if several or KINDS[kind].needs != "servers"]
    if several:
        there.remove("kill store")
    wanted = ("",) if told == "all" else tuple(word.strip() for word in told.split(","))
    kinds = [kind for kind in there if kind.startswith(wanted)]
    if not kinds:
        sys.exit(f"--faults {told}: none of {', '.join(there)}")
    return kinds


def _keep(part: Part, result: Result) -> None:
    line = {
        "commit": _commit(),
        "seed": part.seed,
        "faults": list(part.faults),
        "store": part.store,
        "ahead": part.ahead,
        "counted": result.counted,
        "missed": result.missed,
        "measured": result.measured,
        "jobs": result.jobs,
        "events": result.events,
        "seconds": round(result.seconds),
        "holds": result.holds,
        "broken": {name: len(found) for name, found in result.broken.items()},
        "errors": result.errors,
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _commit() -> str:
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=10", "--exclude", "*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _tell(result: Result, home: Path) -> None:
    print(f"  {result.jobs} jobs, {result.events} events, {result.seconds:.0f} s; counted: {_listed(result.counted)}")
    if result.missed:
        print(f"  missed, as the victim held nothing: {_listed(result.missed)}")
    print("  measured: " + ", ".join(f"{name} {value:g}" for name, value in result.measured.items()))
    for name, found in result.broken.items():
        print(f"  BROKEN {name.replace('_', ' ')}: {len(found)} times")
        for each in found[:10]:
            print(f"    {each}")
    for error in result.errors:
        print(f"  ERROR {error}")
    if not result.holds:
        print(f"  its history is {home / 'history.jsonl'}", flush=True)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
