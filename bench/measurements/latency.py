"""From enqueue to the handler's first line on an idle system: over gRPC, and, as the peers do it, in the enqueuer's process."""

from pathlib import Path
from typing import Final

from bench.run import Figures, Run, System

JOBS: Final = 600
PLACES: Final = 4096
"""Of 8 bytes each: more than the jobs, those to warm up with included."""


async def measure(run: Run) -> Figures:
    figures: Figures = {}
    async with run.own("latency") as own:
        await own.service()
        figures |= _named("own", await _latencies(own, run.folder / "own.marks"))
        marks = _marks(run.folder / "grpc.marks")
        answer = await own.processes.load("latency", "grpc", JOBS, marks)
        figures |= _named("grpc", answer["ms"])
    for name in run.peers:
        async with run.peer(name, "latency") as peer:
            figures |= _named(name, await _latencies(peer, run.folder / f"{name}.marks"))
    return figures


async def _latencies(system: System, marks: Path) -> list[float]:
    await system.workers(1)
    return await system.latencies(JOBS, _marks(marks))


def _marks(path: Path) -> Path:
    path.write_bytes(bytes(8 * PLACES))
    return path


def _named(system: str, ms: list[float]) -> Figures:
    ordered = sorted(ms)
    return {f"{system}.start_p50": ordered[len(ordered) // 2], f"{system}.start_p99": ordered[len(ordered) * 99 // 100]}
