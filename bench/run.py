"""What every measurement is given: the systems to measure, how many jobs, and a folder of its own."""

import itertools
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench import node
from bench.node import Peer
from bench.own import Own, own
from bench.servers import Valkey

Figures = dict[str, float]
"""By system and name, such as `own.drain_1`."""


class System(Protocol):
    """A queue with its workers: this project, or a peer."""

    @property
    def server(self) -> Valkey: ...

    async def fill(self, jobs: int) -> None: ...

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...

    async def workers(self, count: int) -> list[int]: ...

    async def completed(self) -> int: ...

    async def latencies(self, jobs: int, marks: Path) -> list[float]: ...


@dataclass
class Run:
    """One run of the benchmark."""

    folder: Path
    jobs: int
    peers: tuple[str, ...]
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def own(self, name: str, **variables: str) -> AbstractAsyncContextManager[Own]:
        """This project on an empty Valkey. `variables` go into its environment."""
        return own(self.place(name), **variables)

    def peer(self, name: str, what: str) -> AbstractAsyncContextManager[Peer]:
        """A peer on an empty Valkey."""
        return node.peer(name, self.place(f"{name}-{what}"))

    def place(self, name: str) -> Path:
        return self.folder / f"{next(self._numbers)}-{name}"
