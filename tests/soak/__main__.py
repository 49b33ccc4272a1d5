"""`python -m tests.soak`: loads a stack for minutes and fails if anything is left of it. Prints the seed that repeats it."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.callers import shown
from tests.soak.readings import grown, table
from tests.soak.soak import Report, soak

MINUTES = 20.0
CALLERS = 24


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long the load lasts (%(default)s)")
    parser.add_argument("--warm-up", type=float, help="minutes before the baseline; a quarter of the load, at most 5")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--callers", type=int, default=CALLERS)
    told = parser.parse_args()
    warm_up = told.warm_up if told.warm_up is not None else min(told.minutes / 4, 5)
    say(f"seed {told.seed}")
    with tempfile.TemporaryDirectory(prefix="qjobs-soak-") as home:
        report = asyncio.run(
            soak(
                Path(home),
                seconds=told.minutes * 60,
                warm_up=warm_up * 60,
                seed=told.seed,
                callers=told.callers,
                say=say,
            )
        )
    print(text(report))
    return 0 if report.clean else 1


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def text(report: Report) -> str:
    ledger = report.ledger
    parts = [
        table(report.rows),
        "held and subtracted: " + "; ".join(f"{what}: {value:,.0f}" for what, value in report.after.held.items()),
        f"actions: {json.dumps(dict(ledger.done.most_common()))}",
        f"refusals that were to be expected: {json.dumps(dict(ledger.refused))}",
        *report.restarts,
    ]
    if ledger.failures:
        parts.append(f"{len(ledger.failures)} unexpected answers:\n{shown(ledger.failures)}")
    for whose in sorted({row.whose for row in report.leaks} & set(report.after.kinds)):
        more = grown(report.before.kinds[whose], report.after.kinds[whose])
        parts.append(f"{whose} has more of: {', '.join(more)}")
    parts += [f"left: {row.whose}: {row.what}: {row.before:,.0f} → {row.after:,.0f}" for row in report.leaks]
    parts.append("clean" if report.clean else f"not clean (seed {report.seed})")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
