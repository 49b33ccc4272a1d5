"""How many jobs a second can be enqueued: over gRPC, over REST, by the peers; and what gRPC alone would allow."""

from typing import Final

from bench.own import Own
from bench.run import Figures, Run

SECONDS: Final = 2.0
ONE_BY_ONE: Final = 5000
"""Jobs that a peer adds one after the other."""
WIDTHS: Final = (1, 4)
"""Batches in flight."""


async def measure(run: Run) -> Figures:
    return await _calls(run) | await _batches(run)


async def _calls(run: Run) -> Figures:
    """One job in a call. What is compared is measured one right after the other."""
    figures: Figures = {}
    async with run.own("calls") as own:
        await own.service()
        await own.echo()
        await own.envoy()
        for width in (1, 64):
            figures[f"echo.enqueue_{width}"] = await _rate(own, "enqueue", "echo", width, SECONDS)
            figures[f"own.enqueue_{width}"] = await _rate(own, "enqueue", "unary", width, SECONDS)
            figures[f"own.rest_{width}"] = await _rate(own, "rest", width, SECONDS)
    for name in run.peers:
        async with run.peer(name, "add") as peer:
            figures[f"{name}.enqueue_1"] = await peer.add(ONE_BY_ONE)
    return figures


async def _batches(run: Run) -> Figures:
    """Many jobs in a call."""
    figures: Figures = {}
    async with run.own("stream") as own:
        await own.service()
        figures["own.stream"] = await _rate(own, "enqueue", "stream", run.jobs)
    for width in WIDTHS:
        async with run.own("batch") as own:
            await own.service()
            figures[f"own.batch_{width}"] = await _rate(own, "enqueue", "batch", run.jobs, width)
        for name in run.peers:
            async with run.peer(name, "bulk") as peer:
                figures[f"{name}.batch_{width}"] = await peer.add_bulk(run.jobs, width)
    return figures


async def _rate(own: Own, load: str, *arguments: object) -> float:
    """What a load generator reaches, a second."""
    return float((await own.processes.load(load, *arguments))["rate"])
