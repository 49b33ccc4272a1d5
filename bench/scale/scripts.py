"""How long the store is held up by one script, among large jobs: every operation in rounds, read off the server's slow log.

A time there includes what the machine gives to others meanwhile. Each round makes the same calls in the same order, so each
call is judged by its quietest round: what it costs itself, it costs in every round. Calls that few rounds came to are left out.
"""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bench.scale.desk import QUEUE, Desk, job
from engine.actions import CANCEL, DELETE, PROMOTE, RETRY
from engine.claims import Note
from engine.inspection import BY_STATE, CREATED
from engine.jobs import ClaimedJob, JobQuery, Outcome, Settlement, State
from engine.layout import Layout
from engine.scripts import load_scripts

ROUNDS: Final = 9
PAYLOAD_BYTES: Final = 500_000
LOG_LINES: Final = 200
_LOGGED: Final = 1_000_000
_AT_ONCE: Final = 60
_PAGE: Final = 100
_NOWHERE: Final = ("held by no job", "x" * 150 + "w")
"""Texts that no job holds; the second takes long to tell from payloads like these."""


async def worst_calls(desk: Desk) -> dict[str, float]:
    """By operation and script, the seconds of its worst call."""
    await desk.server.client.config_set("slowlog-max-len", _LOGGED)
    for known in load_scripts().values():  # or their first calls would be EVALs
        await desk.server.client.script_load(known.source)
    await Layout(desk.store).complete(QUEUE)  # which the first list would do, in that round alone
    calls: dict[str, list[list[float]]] = {}
    for _ in range(ROUNDS):
        for name, operation in _Round(desk).operations().items():
            await desk.server.client.config_set("slowlog-log-slower-than", 0)
            await desk.server.client.slowlog_reset()
            # A large value, for which the allocator tidies up what the log has left: else the operation's first one would pay.
            await desk.server.client.eval("return #string.rep('x', 1000000)", 0)
            await operation()
            await desk.server.client.config_set("slowlog-log-slower-than", -1)
            for script, taken in (await _scripts(desk)).items():
                calls.setdefault(f"{name}: {script}", []).append(taken)
    return {name: _worst(rounds) for name, rounds in calls.items()}


def _worst(rounds: list[list[float]]) -> float:
    """Of the calls that most rounds made, each by its quietest round, the longest."""
    columns = [[time for time in column if time is not None] for column in itertools.zip_longest(*rounds)]
    return max(min(column) for column in columns if 2 * len(column) > len(rounds))


async def _scripts(desk: Desk) -> dict[str, list[float]]:
    """By script, the seconds of each call, in order. The commands that scripts call are logged too, and left out."""
    names = {script.sha: script.name for script in load_scripts().values()}
    entries: list[dict[str, Any]] = await desk.server.client.slowlog_get(_LOGGED)
    found: dict[str, list[float]] = {}
    for entry in reversed(entries):
        word, _, rest = str(entry["command"], "utf-8", "replace").partition(" ")
        sha = rest.partition(" ")[0]
        if word.upper() == "EVALSHA" and sha in names:
            found.setdefault(names[sha], []).append(entry["duration"] / 1e6)
    return found


class _Round:
    """One pass through all operations, each on what the ones before it left."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._worker = desk.worker()
        self._held: list[ClaimedJob] = []
        self._names: list[str] = []

    def operations(self) -> dict[str, Callable[[], Awaitable[object]]]:
        look, steer = self._desk.inspection, self._desk.steering
        return {
            "enqueue": self._enqueue,
            "stats": lambda: look.stats([QUEUE]),
            "claim": self._claim,
            "extend": lambda: self._worker.extend([(one.id, one.fence) for one in self._held]),
            "note": self._note,
            "settle": self._settle,
            "get": lambda: look.get_many(QUEUE, self._names),
            "watch": lambda: look.snapshot(QUEUE, self._names[0]),
            "logs": lambda: look.logs(QUEUE, self._names[0]),
            "list": self._list,
            "list by text": self._search,
            "promote": self._promote,
            "cancel": lambda: steer.change_many(CANCEL, QUEUE, self._names),
            "retry": lambda: steer.change_many(RETRY, QUEUE, self._names),
            "bulk count": lambda: steer.change_many(CANCEL, QUEUE, JobQuery(), validate_only=True),
            "bulk cancel": lambda: steer.change_many(CANCEL, QUEUE, JobQuery(owner="owner7", states=_WAITING)),
            "bulk retry": lambda: steer.change_many(RETRY, QUEUE, JobQuery(owner="owner7")),
            "delete": lambda: steer.change_many(DELETE, QUEUE, self._names),
            "clean": self._clean,
            "reap": self._reap,
            "upgrade": self._upgrade,
        }

    async def _enqueue(self) -> None:
        await self._desk.add(*(job(PAYLOAD_BYTES, priority=9) for _ in range(3 * _AT_ONCE)))

    async def _claim(self) -> None:
        while len(self._held) < _AT_ONCE and (found := (await self._worker.claim(_AT_ONCE - len(self._held))).jobs):
            self._held += found
        self._names = [one.id for one in self._held]

    async def _note(self) -> None:
        """As a worker sends them: some lines of one job at a time."""
        for one in self._held:
            lines = (("log", "l" * 200),) * (LOG_LINES // 4)
            for _ in range(4):
                await self._worker.note([Note(one.id, one.fence, 50.0, lines)])
        await self._worker.note([Note(one.id, one.fence, checkpoint=b"c" * PAYLOAD_BYTES) for one in self._held[:2]])

    async def _settle(self) -> None:
        third = len(self._held) // 3
        ended = [Settlement(one.id, one.fence, Outcome.COMPLETE, b"r" * PAYLOAD_BYTES) for one in self._held[:third]]
        ended += [
            Settlement(one.id, one.fence, Outcome.FAIL, reason="f" * 1000) for one in self._held[third : 2 * third]
        ]
        ended += [Settlement(one.id, one.fence, Outcome.RELEASE) for one in self._held[2 * third :]]
        await self._worker.settle(ended, 0)

    async def _list(self) -> None:
        page = self._desk.inspection.page
        for query in (JobQuery(), JobQuery(owner="owner7"), JobQuery(type="unheard-of"), JobQuery(owner="nobody")):
            await page(QUEUE, query, "", _PAGE)
            await page(QUEUE, query, CREATED, _PAGE)
        for state in State:
            await page(QUEUE, JobQuery(states=frozenset({state})), "", _PAGE)
            await page(QUEUE, JobQuery(states=frozenset({state})), BY_STATE, _PAGE)

    async def _search(self) -> None:
        for text in _NOWHERE:
            await self._desk.inspection.page(QUEUE, JobQuery(text=text), "", _PAGE)
            await self._desk.inspection.page(QUEUE, JobQuery(text=text, states=_WAITING), BY_STATE, _PAGE)

    async def _promote(self) -> None:
        later = [job(PAYLOAD_BYTES, delay=3_600_000) for _ in range(_AT_ONCE)]
        await self._desk.add(*later)
        await self._desk.steering.change_many(PROMOTE, QUEUE, [one.id for one in later])

    async def _finish_with_logs(self) -> None:
        self._held = []
        await self._enqueue()
        await self._claim()
        await self._note()
        await self._settle()

    async def _clean(self) -> None:
        await self._finish_with_logs()
        await self._desk.steering.clean(QUEUE, 0)

    async def _reap(self) -> None:
        await self._finish_with_logs()
        worker = self._desk.worker(queue_min_retention=0, retention_completed_hours=0, retention_failed_days=0)
        await worker.reap()

    async def _upgrade(self) -> None:
        """From a store without the indexes."""
        keys = self._desk.store.keys(QUEUE)
        await self._desk.server.client.hdel(keys["meta"], "layout")
        await Layout(self._desk.store).complete(QUEUE)


_WAITING: Final = frozenset({State.WAITING})
