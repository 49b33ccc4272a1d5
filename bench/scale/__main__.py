"""`python -m bench.scale`: whether cost stays bounded as queues grow. Exits with 1 where a budget is missed.

Four parts, each on a Valkey of its own: what calls cost in large queues beside a small one, what lists leave of the rate of
enqueues, what a plain job costs the store, and how long one command holds up the store among large jobs. Takes minutes, about 3
GB of memory for the first two, 6 GB for the last.
"""

import argparse
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop

from bench.machine import description
from bench.scale import growth, lists, plain_job, scripts
from bench.scale.desk import desk

PARTS: Final = ("growth", "lists", "plain", "scripts")
GROWTH: Final = 1.5
"""Large to small, at most."""
KEPT: Final = 2 / 3
SCRIPT_SECONDS: Final = 0.01


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none")
    parser.add_argument("--few", type=int, default=10_000, help="jobs of the small queue (10,000)")
    parser.add_argument("--more", type=int, default=100_000, help="jobs of the queue between (100,000)")
    parser.add_argument("--many", type=int, default=1_000_000, help="jobs of the large queue (1,000,000)")
    parser.add_argument("--large", type=int, default=10_000, help="jobs of 500 kB each (10,000)")
    asked = parser.parse_args()
    if unknown := set(asked.parts).difference(PARTS):
        parser.error(f"no part is named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    asked.parts = asked.parts or PARTS
    return asked


async def small_jobs(folder: Path, parts: Sequence[str], sizes: Sequence[int]) -> bool:
    """The parts that want many small jobs; whether they keep their budgets."""
    kept = True
    async with contextlib.AsyncExitStack() as stack:
        desks = [await stack.enter_async_context(desk(folder / str(size))) for size in sizes]
        for each, size in zip(desks, sizes, strict=True):
            await each.fill(size, growth.PAYLOAD_BYTES)
        large = desks[-1]
        if "growth" in parts:
            print(row(f"jobs: {', '.join(f'{size:,}' for size in sizes)}", "", "", ok=True))
            for name, operation in growth.OPERATIONS.items():
                seconds, ratio = await growth.compare(desks, operation)
                kept &= ratio <= GROWTH
                costs = ", ".join(f"{each * 1e6:7.0f} µs" for each in seconds)
                print(row(name, costs, f"{ratio:.2f}", ok=ratio <= GROWTH), flush=True)
        if "lists" in parts:
            alone, beside, share = await lists.kept_share(large, folder / "lists")
            kept &= share >= KEPT
            rates = f"{alone:,.0f} /s, beside {lists.CALLS} list calls {beside:,.0f} /s"
            print(row("enqueue, one at a time", rates, f"{share:.2f}", ok=share >= KEPT), flush=True)
    return kept


async def large_jobs(folder: Path, jobs: int) -> bool:
    """The part that wants large jobs; whether it keeps its budget."""
    async with desk(folder / "large") as large:
        await large.fill(jobs, scripts.PAYLOAD_BYTES)
        worst = await scripts.worst_calls(large)
    for name, seconds in sorted(worst.items(), key=lambda item: -item[1]):
        print(row(name, f"{seconds * 1000:7.2f} ms", "", ok=seconds <= SCRIPT_SECONDS))
    return max(worst.values()) <= SCRIPT_SECONDS


async def plain_jobs(folder: Path) -> bool:
    """The part that wants plain jobs; whether they keep to their budget."""
    async with desk(folder / "plain") as empty:
        costs = await plain_job.measured(empty)
    kept = True
    for name, cost in costs.items():
        share = cost / plain_job.BUDGETS[name]
        kept &= share <= plain_job.TOLERANCE
        figures = f"{cost:.3g}, of {plain_job.BUDGETS[name]:.3g}"
        print(row(name, figures, f"{share:.2f}", ok=share <= plain_job.TOLERANCE), flush=True)
    return kept


def row(name: str, figures: str, ratio: str, *, ok: bool) -> str:
    return f"  {name:<28} {figures:<60} {ratio:>5} {'' if ok else 'TOO MUCH'}".rstrip()


async def main(asked: argparse.Namespace, folder: Path) -> bool:
    print(description())
    kept = True
    if {"growth", "lists"}.intersection(asked.parts):
        kept &= await small_jobs(folder, asked.parts, (asked.few, asked.more, asked.many))
    if "plain" in asked.parts:
        kept &= await plain_jobs(folder)
    if "scripts" in asked.parts:
        kept &= await large_jobs(folder, asked.large)
    return kept


if __name__ == "__main__":
    asked = options()
    folder = Path(tempfile.mkdtemp(prefix="bench-scale-"))
    try:
        kept = uvloop.run(main(asked, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if kept else 1)
