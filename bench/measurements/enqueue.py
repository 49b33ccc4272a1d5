"""How many jobs a second can be enqueued: over gRPC, over REST, by the peers; and what gRPC alone would allow."""

from typing import Final

from bench.run import Figures, Run

SECONDS: Final = 2.0
ONE_BY_ONE: Final = 5000
"""Jobs that a peer adds one after the other."""


async def measure(run: Run) -> Figures:
    figures: Figures = {}
    async with run.own("enqueue") as own:
        await own.service()
        await own.envoy()
        for width in (1, 64):
            figures[f"own.enqueue_{width}"] = await run.rate(own, "enqueue", "unary", width, SECONDS)
            figures[f"own.rest_{width}"] = await run.rate(own, "rest", width, SECONDS)
        figures["own.batch"] = await run.rate(own, "enqueue", "batch", run.jobs)
        figures["own.stream"] = await run.rate(own, "enqueue", "stream", run.jobs)
    async with run.own("echo") as own:
        await own.echo()
        for width in (1, 64):
            figures[f"echo.enqueue_{width}"] = await run.rate(own, "enqueue", "echo", width, SECONDS)
    for name in run.peers:
        async with run.peer(name, "add") as peer:
            figures[f"{name}.enqueue_1"] = await peer.add(ONE_BY_ONE)
        async with run.peer(name, "bulk") as peer:
            figures[f"{name}.batch"] = await peer.add_bulk(run.jobs)
    return figures
