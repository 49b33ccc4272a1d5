"""Starts processes of the project quickly: it has imported them, and forks.

Starting Python and importing the project takes longer than the pause between two kills. A process that was forked is one like
any other: it has its own loop, connections and lease, and a SIGKILL spares it nothing.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from base.settings import PROJECT


@dataclass
class Nursery:
    """A nursery in a process of its own. `wrapped` is put before its command line, such as `ip netns exec`."""

    environment: Mapping[str, str]
    log: Path
    wrapped: Sequence[str] = ()
    pids: dict[str, int] = field(default_factory=dict)
    """The processes that run, by name."""
    _process: asyncio.subprocess.Process | None = None
    _reader: asyncio.Task[None] | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def open(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(*self.wrapped, sys.executable, "-m", "tests.chaos.forking"),
                env=dict(self.environment),
                cwd=PROJECT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        ready = await asyncio.wait_for(self._process.stdout.readline(), 120)
        assert ready == b"ready\n", self.log.read_text()[-2000:]
        self._reader = asyncio.create_task(self._read())

    async def start(self, name: str, *command: str, log: Path, **variables: str) -> int:
        """Starts a process; its id."""
        assert self._process is not None
        assert self._process.stdin is not None
        order = {"name": name, "command": command, "log": str(log), "variables": variables}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        async with self._changed, asyncio.timeout(60):
            await self._changed.wait_for(lambda: name in self.pids)
        return self.pids[name]

    async def ended(self, name: str, pid: int) -> None:
        """Returns once that process is gone."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.pids.get(name) != pid)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            async with self._changed:
                if told["what"] == "started":
                    self.pids[told["name"]] = told["pid"]
                elif self.pids.get(told["name"]) == told["pid"]:
                    del self.pids[told["name"]]
                self._changed.notify_all()

    async def close(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader
