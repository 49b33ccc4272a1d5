"""Bull, BullMQ and libraries of Node, where it is present: installed into build/, each queue on a Valkey of its own."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from base.settings import PROJECT
from bench.own import CONCURRENCY
from bench.processes import ENVIRONMENT, Processes
from bench.servers import Valkey, valkey

NAMES: Final = ("bull", "bullmq")
TOOLS: Final = {
    "sharp": "sharp",
    "fastcsv": "fast-csv",
    "jsonstream": "JSONStream",
    "exceljs": "exceljs",
    "nodemailer": "nodemailer",
}
"""Libraries that do a piece of the work, measured beside ours: our programs around them, and their packages."""
SOURCES: Final = Path(__file__).with_name("peers")
INSTALLED: Final = PROJECT / "build" / "bench" / "peers"


class Peer:
    """One of them. Each measurement opens it anew."""

    def __init__(self, name: str, processes: Processes, server: Valkey) -> None:
        self.name = name
        self.server = server
        self._processes = processes
        self._workers: list[int] = []

    async def workers(self, count: int) -> list[int]:
        """Starts worker processes; their ids once all of them are connected."""
        for _ in range(count):
            name = f"worker-{len(self._workers)}"
            process = await self._processes.start(name, *program(self.name), "worker", ready="ready")
            self._workers.append(process.pid)
        return self._workers

    async def add(self, jobs: int) -> float:
        """Adds one job after the other; how many a second."""
        return float((await self._run("add", jobs))["rate"])

    async def add_bulk(self, jobs: int, width: int) -> float:
        """Adds a thousand jobs at a time, in `width` calls at once; how many jobs a second."""
        return float((await self._run("bulk", jobs, width))["rate"])

    async def fill(self, jobs: int) -> None:
        await self.add_bulk(jobs, 1)

    async def pause(self) -> None:
        await self._run("pause")

    async def resume(self) -> None:
        await self._run("resume")

    async def completed(self) -> int:
        """Jobs that the store holds as completed: one cheap command."""
        count: int = await self.server.client.zcard("bull:q:completed")  # both use this prefix
        return count

    async def latencies(self, jobs: int, marks: Path) -> list[float]:
        """Milliseconds from before the enqueue to the handler's first line, one job after the other."""
        return list((await self._run("latency", jobs, marks))["ms"])

    async def _run(self, *arguments: object) -> dict[str, Any]:
        return await self._processes.run(*program(self.name), *map(str, arguments))


@contextlib.asynccontextmanager
async def peer(name: str, folder: Path) -> AsyncIterator[Peer]:
    """The peer on an empty Valkey."""
    folder.mkdir(parents=True)
    async with Processes(folder) as processes, valkey(processes, folder) as server:
        processes.environment = {
            **ENVIRONMENT,
            "PEER_PORT": str(server.port),
            "PEER_CONCURRENCY": str(CONCURRENCY),
        }
        yield Peer(name, processes, server)


def install() -> str:
    """Installs the peers if they are not there; answers why they cannot be measured, "" if they can."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return "Bull and BullMQ are left out: node and npm are not installed."
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for source in SOURCES.iterdir():
        shutil.copy(source, INSTALLED)
    wanted = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    if all((INSTALLED / "node_modules" / name / "package.json").exists() for name in wanted):
        return ""
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier"]
    done = subprocess.run(command, cwd=INSTALLED, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        return f"Bull and BullMQ are left out: npm install failed: {done.stderr.strip()[-500:]}"
    return ""


def has(tool: str) -> bool:
    """Whether the library can be measured: Node is there, and it was installed."""
    return shutil.which("node") is not None and (INSTALLED / "node_modules" / TOOLS[tool]).exists()


def program(name: str) -> tuple[str | Path, ...]:
    node = shutil.which("node")
    assert node is not None, "install() has found it"
    return node, INSTALLED / f"{name}.js"
