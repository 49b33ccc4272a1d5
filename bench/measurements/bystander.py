"""What a service spends on one watcher whose job waits, while other jobs of its queue drain at full rate."""

import asyncio
from typing import Final

from bench.machine import cpu_seconds
from bench.measurements.drain import observed
from bench.run import Figures, Run

WATCHED_DELAY: Final = 3600


async def measure(run: Run) -> Figures:
    ids, go = run.folder / "bystander.ids", run.folder / "bystander.go"
    go.unlink(missing_ok=True)
    async with run.own("bystander") as own:
        service = await own.service()
        answer = await own.processes.load("delayed", WATCHED_DELAY)
        ids.write_text(answer["id"])
        await own.pause()
        await own.fill(run.jobs)
        pids = await own.workers(1)
        watching = asyncio.create_task(own.processes.load("watch", ids, go))
        while not go.exists():
            await asyncio.sleep(0.01)
        cpu = cpu_seconds([service])
        found = await observed(own, run.jobs, pids)
        seconds = run.jobs / found.rate
        spent = cpu_seconds([service]) - cpu
        watching.cancel()
        await asyncio.wait([watching])
    return {"own.bystander_cores": spent / seconds, "own.bystander_drain": found.rate}
