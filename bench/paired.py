"""`python -m bench.paired --against COMMIT`: this tree beside an older one, in pairs of runs whose order alternates.

The machine's own ups and downs meet both. `--control` compares the older tree with itself: so far do equals lie apart.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from base.settings import PROJECT

NAMES: Final = ("drain", "enqueue", "latency")
LOWER_IS_BETTER: Final = ("_us", "_p50", "_p99")
Ratios = dict[str, list[float]]
"""New to old, for each figure, in which above 1 means that the new one is better."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.paired", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"measurements ({', '.join(NAMES)})")
    parser.add_argument("--against", required=True, metavar="COMMIT", help="the older tree")
    parser.add_argument("--pairs", type=int, default=15, help="medians are of so many pairs (15)")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs of each measurement (20,000)")
    parser.add_argument("--control", action="store_true", help="the older tree against a second copy of itself")
    return parser.parse_args()


def tree(commit: str, name: str) -> Path:
    """A copy of the project as of a commit, which runs with this one's packages."""
    folder = PROJECT / "build" / "bench" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", commit], cwd=PROJECT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def run(folder: Path, asked: argparse.Namespace) -> dict[str, float]:
    """One round of the measurements by the benchmark of the tree itself.

    Raises:
      CalledProcessError: it failed; what it says is on the terminal.
    """
    roots = ":".join(str(folder / root) for root in (".", "gen", "tests/plugin"))
    command = [sys.executable, "-P", "-m", "bench", *(asked.names or NAMES)]
    command += ["--rounds", "1", "--no-peers", "--jobs", str(asked.jobs)]
    environment = {**os.environ, "PYTHONPATH": roots}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    samples = json.loads((folder / "build" / "bench" / "results.json").read_text())["samples"]
    return {figure: values[0] for figure, values in samples.items()}


def compare(new: dict[str, float], old: dict[str, float], ratios: Ratios) -> None:
    for figure, value in new.items():
        if figure in old and value and old[figure]:
            ratio = value / old[figure]
            ratios.setdefault(figure, []).append(1 / ratio if figure.endswith(LOWER_IS_BETTER) else ratio)


def show(ratios: Ratios) -> None:
    print(f"\n{'new to old: above 1 is better':40} median    low   high")
    for figure, values in sorted(ratios.items()):
        print(f"{figure:40} {statistics.median(values):6.3f} {min(values):6.3f} {max(values):6.3f}")


def main() -> None:
    asked = options()
    old = tree(asked.against, "old")
    new = tree(asked.against, "control") if asked.control else PROJECT
    ratios: Ratios = {}
    try:
        for number in range(asked.pairs):
            order = (new, old) if number % 2 else (old, new)
            found = {folder: run(folder, asked) for folder in order}
            compare(found[new], found[old], ratios)
            print(f"pair {number + 1} of {asked.pairs}", flush=True)
    finally:
        show(ratios)  # what was measured before something went wrong stands


if __name__ == "__main__":
    main()
