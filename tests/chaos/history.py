"""What happened, as those who were there wrote it down: one JSON object a line, appended in one write each.

A line that was written survives the death of its writer. Times (`at`) are Unix milliseconds of the machine's clock, which is
the store's too. Kinds of lines, and what they hold beside `kind` and `at`:

- call: what a client did. `what` is invoked, answered, refused (the service said no), or unknown (no answer came); `call`
  numbers the call, `op` names it, and further fields say what was asked and answered.
- run: what a handler did (tests/plugin/chaosjobs/handlers.py): started, returned, raised or cancelled; `job`, `start`, `pid`.
- event: what the engine told of a job, read from its stream: `place`, `job`, `state`, `told` (the event's kind), `text`.
- seen: the same, of a store that may lose it yet; what it still has at the end is told as events.
- thaw: a process that stood still goes on, and what it `held` then.
- schedule: which slots a schedule has fired.
- sample: a queue's counts, with the least and the most jobs that it may hold by what was acknowledged.
- watch: what a watcher was told: `told`, `state`, and at the end `ended` or `given_up`.
- fault: begun, ended or missed (its victim held nothing); `fault`, `number`, and `victim`, `pid`, `held`.
- process: started or ended; `name`, `pid`.
- lag: the machine did not let the driver run for so many `ms`.
- final: what the store holds at the end.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def now() -> float:
    """Unix time in milliseconds."""
    return time.time() * 1000


class History:
    """A history that is being written, by this process and by others."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._tail = _Tail(path)

    def write(self, kind: str, what: str = "", **fields: Any) -> float:
        """Appends a line; the time that it carries."""
        at = now()
        os.write(self._file, json.dumps({"kind": kind, "what": what, "at": at, **fields}).encode() + b"\n")
        return at

    def fresh(self) -> Iterator[Line]:
        """The lines that came since the last call."""
        return self._tail.lines()

    def close(self) -> None:
        os.close(self._file)


class _Tail:
    """Reads a file as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self) -> Iterator[Line]:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield json.loads(line)


def read(path: Path) -> list[Line]:
    """A whole history."""
    return list(_Tail(path).lines())
