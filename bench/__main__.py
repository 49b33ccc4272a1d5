"""`python -m bench [measurement ...]`: measures this project beside its peers, on the loopback interface alone."""

import argparse
import asyncio
import collections
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from base.settings import PROJECT, Settings
from bench import node, report
from bench.machine import ForeignLoad, description
from bench.run import Figures, Run

ENGINE: Final = ("enqueue", "drain", "latency", "watchers", "bystander")
WORK: Final = ("exports", "images", "mails")
DEFAULT: Final = (*ENGINE, *WORK)
ALL: Final = (*DEFAULT, "metrics", "memory", "many_rows")
RESULTS: Final = PROJECT / "build" / "bench" / "results.json"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(ALL)}; if none, all but metrics, memory and many_rows")
    parser.add_argument("--rounds", type=int, default=3, help="medians are of so many rounds (3)")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs of each measurement (20,000)")
    parser.add_argument("--no-peers", action="store_true", help="leave out what Node runs")
    asked = parser.parse_args()
    if unknown := set(asked.names).difference(ALL):
        parser.error(f"no measurement is named {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    return asked


def peers(*, wanted: bool) -> tuple[str, ...]:
    if not wanted:
        return ()
    if problem := node.install():
        print(problem)
        return ()
    return node.NAMES


async def measure(
    asked: argparse.Namespace, folder: Path, samples: dict[str, list[float]], foreign: list[float]
) -> None:
    """All rounds: adds each figure's values, and how busy others kept the machine in each round."""
    run = Run(folder, asked.jobs, peers(wanted=not asked.no_peers))
    for number in range(asked.rounds):
        load = ForeignLoad()
        for name in asked.names or DEFAULT:
            began = time.monotonic()
            measurement = importlib.import_module(f"bench.measurements.{name}")
            figures: Figures = await measurement.measure(run)
            for figure, value in figures.items():
                samples[figure].append(value)
            print(f"round {number + 1}: {name}, {time.monotonic() - began:.0f} s", flush=True)
        foreign.append(load.cores())


def save(asked: argparse.Namespace, samples: report.Samples, foreign: list[float]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    about = {"machine": description(), "jobs": asked.jobs, "rounds": asked.rounds, "foreign_cores": foreign}
    RESULTS.write_text(json.dumps(about | {"samples": samples}, indent=1))


def main() -> None:
    asked = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    for name in Settings.model_fields:  # the benchmark says what is set
        os.environ.pop(name.upper(), None)
    folder = Path(tempfile.mkdtemp(prefix="qjobs-bench-"))
    samples: dict[str, list[float]] = collections.defaultdict(list)
    foreign: list[float] = []
    try:
        asyncio.run(measure(asked, folder, samples, foreign))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # What was measured before something went wrong took minutes, and stands.
        show(asked, samples, foreign)


def show(asked: argparse.Namespace, samples: report.Samples, foreign: list[float]) -> None:
    save(asked, samples, foreign)
    print(f"\n{description()}")
    print(f"{asked.jobs:,} jobs of 200 bytes, AOF everysec, medians of {asked.rounds} rounds; ", end="")
    print(f"others kept {', '.join(f'{cores:.2f}' for cores in foreign)} processors busy\n")
    print("\n\n".join(report.tables(samples)))
    print(f"\nAll values: {RESULTS.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
