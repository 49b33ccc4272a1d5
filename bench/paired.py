"""`python -m bench.paired --against COMMIT`: this tree beside an older one, in pairs of runs whose order alternates.

Every round also runs a second copy of the older tree: how far equals lie apart is the noise of the machine that day.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from base.settings import PROJECT, Settings

LOWER_IS_BETTER: Final = ("_us", "_p50", "_p90")
ROUND: Final = PROJECT / "bench" / "paired_round.py"
ORDERS: Final = (*itertools.permutations(("new", "old", "control")),)
Figures = dict[str, float]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.paired", description=__doc__)
    parser.add_argument("--against", required=True, metavar="COMMIT", help="the older tree")
    parser.add_argument("--pairs", type=int, default=15, help="medians are of so many pairs (15)")
    parser.add_argument("--jobs", type=int, default=8_000, help="jobs of each batch measurement (8,000)")
    return parser.parse_args()


def tree(commit: str, name: str) -> Path:
    """A copy of the project as of a commit, which runs with this one's packages."""
    folder = PROJECT / "build" / "bench" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", commit], cwd=PROJECT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def measured(folder: Path, jobs: int) -> Figures:
    """One round of a tree.

    Raises:
      CalledProcessError: it failed; what it said is on the terminal.
    """
    roots = ":".join(str(folder / root) for root in (".", "gen", "tests/plugin"))
    settings = {name.upper() for name in Settings.model_fields}  # the benchmark says what is set
    environment = {name: value for name, value in os.environ.items() if name not in settings} | {"PYTHONPATH": roots}
    command = [sys.executable, "-P", str(ROUND), str(jobs)]
    said = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE).stdout
    figures: Figures = json.loads(said.splitlines()[-1])
    return figures


def ratio(figure: str, new: float, old: float) -> float:
    """New to old, in which above 1 means that the new one is better."""
    return old / new if figure.endswith(LOWER_IS_BETTER) else new / old


def show(rounds: list[dict[str, Figures]]) -> None:
    for title, name in (("new to old: above 1 is better", "new"), ("control: old to old", "control")):
        print(f"\n{title:40} median    low   high")
        for figure in rounds[0]["old"] if rounds else ():
            values = [ratio(figure, one[name][figure], one["old"][figure]) for one in rounds]
            print(f"{figure:40} {statistics.median(values):6.3f} {min(values):6.3f} {max(values):6.3f}")


def main() -> None:
    asked = options()
    trees = {"new": PROJECT, "old": tree(asked.against, "old"), "control": tree(asked.against, "control")}
    rounds: list[dict[str, Figures]] = []
    try:
        for number in range(asked.pairs):
            order = ORDERS[number % len(ORDERS)]
            rounds.append({name: measured(trees[name], asked.jobs) for name in order})
            print(f"pair {number + 1} of {asked.pairs}", flush=True)
    finally:
        show(rounds)  # what was measured before something went wrong stands


if __name__ == "__main__":
    main()
