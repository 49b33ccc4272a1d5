"""What the driver knows while a part runs: who holds what, and which jobs are not done. The checker does not use it."""

import random
from collections import Counter, defaultdict

from tests.chaos.history import History

_ENDS = {"c", "f", "x"}
_OPEN = {"w", "d", "a"}


class Ledger:
    """Kept up to date from the history by `look`, and by the clients directly."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.calls: Counter[str] = Counter()
        """Calls under way, by service."""
        self.asked: Counter[str] = Counter()
        self.acknowledged: Counter[str] = Counter()
        self.running: defaultdict[int, set[tuple[str, int]]] = defaultdict(set)
        """Starts of jobs that a process runs, by its id."""
        self.died_with: dict[int, set[tuple[str, int]]] = {}
        """What a process that is gone had not ended."""
        self._states: dict[tuple[str, str], str] = {}
        self._open: dict[tuple[str, str], None] = {}
        self._failed: dict[tuple[str, str], None] = {}

    def look(self) -> None:
        """Takes in what was written since the last look."""
        for line in self._history.fresh():
            if line["kind"] == "run":
                start = (line["job"], line["start"])
                if line["what"] == "started":
                    self.running[line["pid"]].add(start)
                else:
                    self.running[line["pid"]].discard(start)
            elif line["kind"] in {"event", "seen"} and line["what"] == "s" and line["job"]:
                self._note((line["queue"], line["job"]), line["state"])
            elif line["kind"] == "process" and line["what"] == "ended":
                self.died_with[line["pid"]] = self.running.pop(line["pid"], set())

    def _note(self, job: tuple[str, str], state: str) -> None:
        self._states[job] = state
        if state in _OPEN:
            self._open[job] = None
            self._failed.pop(job, None)
        else:
            self._open.pop(job, None)
            if state in {"f", "x"}:
                self._failed[job] = None

    def acknowledge(self, queue: str, job: str) -> None:
        self.acknowledged[queue] += 1
        if self._states.get((queue, job)) not in _ENDS:
            self._open.setdefault((queue, job))

    @property
    def unfinished(self) -> int:
        return len(self._open)

    def some_unfinished(self, chance: random.Random) -> tuple[str, str] | None:
        return chance.choice(list(self._open)) if self._open else None

    def some_failed(self, chance: random.Random) -> tuple[str, str] | None:
        return chance.choice(list(self._failed)) if self._failed else None
