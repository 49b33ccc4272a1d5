"""One short round for `bench.paired`: enqueues, drains and measures start latency on one stack, and prints the figures as JSON.

It is run by this file's path with an older tree on PYTHONPATH, so it imports only what every compared tree has.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.measurements.drain import observed
from bench.measurements.latency import PLACES
from bench.own import QUEUE, Own, own

SECONDS: Final = 2.0
"""Of unary calls."""
LATENCIES: Final = 300


async def measure(jobs: int, folder: Path) -> dict[str, float]:
    async with own(folder / "own") as system:
        await system.service()
        await system.pause()
        figures = {
            "enqueue, unary, 64 in flight": await _rate(system, "unary", 64, SECONDS),
            "enqueue, batches, one at a time": await _rate(system, "batch", jobs, 1),
            "enqueue, batches, 4 in flight": await _rate(system, "batch", jobs, 4),
        }
        pids = await system.workers(1)
        waiting = await system.server.client.zcard(system.store.keys(QUEUE)["wait"])
        drained = await observed(system, waiting, pids)
        figures |= {"drain": drained.rate, "drain, worker_us": drained.worker_us, "drain, store_us": drained.server_us}
        marks = folder / "marks"
        marks.write_bytes(bytes(8 * PLACES))
        ordered = sorted(await system.latencies(LATENCIES, marks))
    return figures | {"start_p50": ordered[len(ordered) // 2], "start_p90": ordered[len(ordered) * 9 // 10]}


async def _rate(system: Own, shape: str, *numbers: object) -> float:
    return float((await system.processes.load("enqueue", shape, *numbers))["rate"])


if __name__ == "__main__":
    place = Path(tempfile.mkdtemp(prefix="qjobs-bench-"))
    try:
        print(json.dumps(asyncio.run(measure(int(sys.argv[1]), place))))
    finally:
        shutil.rmtree(place, ignore_errors=True)
