"""`python -m bench.scaling`: measures what each step of a job costs on this machine, and simulates larger deployments.

Without options it shows a ladder of deployments: how many jobs a second each bears, what is short there, and, at shares of that
rate, how long callers wait for their answers and jobs for their start. With options it shows the one that they describe.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final

import uvloop

from bench.machine import description
from bench.scaling.costs import Costs, Script, measured
from bench.scaling.model import Deployment, Simulation

SHARES: Final = (0.5, 0.8, 0.95)
JOBS: Final = 8_000
"""Simulated for each share; but calls at least."""
CALLS: Final = 300
LADDER: Final = {
    "one of each": Deployment(),
    "2 services": Deployment(services=2),
    "4 services, 2 workers": Deployment(services=4, workers=2),
    "8 services, 2 workers, 4 queues": Deployment(services=8, workers=2, queues=4),
    "the same, 4 stores": Deployment(services=8, workers=4, queues=4, stores=4),
    "16 services, 8 workers, 8 queues, 8 stores": Deployment(services=16, workers=8, queues=8, stores=8),
    "batches of 100, one of each": Deployment(batch=100),
    "batches of 100, 2 services, 2 workers": Deployment(services=2, workers=2, batch=100),
    "mails: 100 ms each, 10 slots": Deployment(slots=10, handler=0.1),
    "the same, 8 workers": Deployment(workers=8, slots=10, handler=0.1),
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument(
        "--costs", type=Path, metavar="FILE", help="take the costs from a file, instead of measuring them"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the costs that were measured to a file")
    for each in fields(Deployment):
        of_kind = float if each.name == "handler" else int
        parser.add_argument(f"--{each.name}", type=of_kind, help=f"as in Deployment ({each.default})")
    return parser.parse_args()


def costs_of(asked: argparse.Namespace) -> Costs:
    if asked.costs:
        told = json.loads(asked.costs.read_text("utf-8"))
        return Costs(**{**told, "enqueue": Script(**told["enqueue"]), "claim": Script(**told["claim"])})
    folder = Path(tempfile.mkdtemp(prefix="bench-scaling-"))
    try:
        costs = uvloop.run(measured(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if asked.save:
        asked.save.write_text(json.dumps(asdict(costs), indent=2) + "\n", "utf-8")
    return costs


def deployments(asked: argparse.Namespace) -> dict[str, Deployment]:
    told = {each.name: getattr(asked, each.name) for each in fields(Deployment)}
    told = {name: value for name, value in told.items() if value is not None}
    return {"as asked": Deployment(**told)} if told else LADDER


def show(name: str, deployment: Deployment, costs: Costs) -> None:
    limits = deployment.limits(costs)
    short = min(limits, key=lambda kind: limits[kind])
    print(f"{name}: {limits[short]:,.0f} jobs a second; {short} are short ({_others(limits, short)})")
    for share in SHARES:
        rate = limits[short] * share
        times = Simulation(costs, deployment, rate).run(max(JOBS, CALLS * deployment.batch) / rate)
        enqueued, started = (_percentiles(taken) for taken in (times.enqueued, times.started))
        print(f"    at {rate:10,.0f} /s   answered {enqueued}   started {started}")


def _others(limits: dict[str, float], short: str) -> str:
    return ", ".join(f"{kind} {limit:,.0f}" for kind, limit in limits.items() if kind != short)


def _percentiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1000:7.2f} ms, p99 {cuts[98] * 1000:7.2f} ms"


def main() -> None:
    asked = options()
    costs = costs_of(asked)
    print(description())
    print(
        f"a service: {costs.unary * 1e6:.0f} µs a call of one job, {costs.row * 1e6:.0f} µs a job of a batch; "
        f"a worker: {costs.run * 1e6:.0f} µs a job; the store: "
        f"enqueue {costs.enqueue.call * 1e6:.0f} µs a call and {costs.enqueue.job * 1e6:.0f} µs a job, "
        f"claim and settle {costs.claim.call * 1e6:.0f} and {costs.claim.job * 1e6:.0f} µs; "
        f"{costs.held_bytes:.0f} bytes of memory for a job that waits"
    )
    for name, deployment in deployments(asked).items():
        show(name, deployment, costs)


if __name__ == "__main__":
    main()
