"""What metrics cost: a process that counts, beside one that does not; and what it takes when Prometheus asks."""

import urllib.request

from bench.machine import cpu_seconds
from bench.measurements.drain import drain
from bench.own import Own
from bench.run import Figures, Run
from stack.ports import LOOPBACK, free_port

SECONDS = 4.0
IN_FLIGHT = 64
SCRAPES = 20


async def measure(run: Run) -> Figures:
    """Whichever comes second in a pair finds another machine: so both orders, and the mean of the two."""
    figures: Figures = {}
    for system in ("own", "uncounted", "uncounted", "own"):
        for name, value in {**await _drain(run, system), **await _enqueue(run, system)}.items():
            figure = f"{system}.metrics_{name}"
            figures[figure] = figures.get(figure, 0) + value / 2
    return figures


async def _drain(run: Run, system: str) -> Figures:
    port = free_port()
    async with run.own(system, METRICS_PORT=str(port)) as own:
        _take(own, system)
        found = await drain(own, run.jobs, 1)
        (worker,) = await own.workers(0)
        return {"drain": found.rate, "drain_us": found.worker_us, "worker_scrape": _scrape(port, worker)}


async def _enqueue(run: Run, system: str) -> Figures:
    port = free_port()
    async with run.own(system, METRICS_PORT=str(port)) as own:
        _take(own, system)
        service = await own.service()
        before = cpu_seconds([service])
        rate = (await own.processes.load("enqueue", "unary", IN_FLIGHT, SECONDS))["rate"]
        spent = (cpu_seconds([service]) - before) / await own.waiting() * 1e6
        return {"enqueue": rate, "enqueue_us": spent, "service_scrape": _scrape(port, service)}


def _take(own: Own, system: str) -> None:
    if system == "uncounted":
        own.program = "bench.uncounted"


def _scrape(port: int, pid: int) -> float:
    """Milliseconds of CPU time that a process takes for one page."""
    before = cpu_seconds([pid])
    for _ in range(SCRAPES):
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=5) as page:
            page.read()
    return (cpu_seconds([pid]) - before) / SCRAPES * 1000
