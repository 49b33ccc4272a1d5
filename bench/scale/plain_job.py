"""What a plain job costs the store: bytes while it waits and once it has ended, and the processor's time for its scripts.

A time means something only beside another of the same machine at the same moment. So these are told in multiples of what an
entry costs in a script that never changes and does what scripts do: pack, unpack, hashes, sorted sets.

A change that raises a figure by more than 5 % raises its budget here and says in CHANGELOG.md why.
"""

import statistics
from typing import Final

from bench.scale.desk import Desk, job
from engine.jobs import Outcome, Settlement

BUDGETS: Final = {
    "bytes, waiting": 750.0,
    "bytes, completed": 773.0,
    "scripts: enqueue": 1.93,
    "scripts: claim and settle": 3.5,
}
TOLERANCE: Final = 1.05

PAYLOAD_BYTES: Final = 200
JOBS: Final = 20_000
GROUPS: Final = 9
ROUNDS: Final = 30
ENTRIES: Final = 200
ENQUEUED: Final = 200
"""At once, as a batch does."""
HELD: Final = 50
"""At once, by a worker."""

REFERENCE: Final = """
local entries, scores = {}, {}
for i = 1, tonumber(ARGV[1]) do
  local kept = cmsgpack.pack({ 'w', 0, 0, 3, 0, 1, 5000, 0.5, '', 1764475200000 + i, 0, 0, 0, i, 0, 'noop', 'owner' })
  entries[i * 2 - 1], entries[i * 2] = 'reference' .. i, cmsgpack.pack({ cmsgpack.unpack(kept), i })
  scores[i * 2 - 1], scores[i * 2] = 1764475200000 - i, 'reference' .. i
end
redis.call('HSET', KEYS[1], unpack(entries))
redis.call('ZADD', KEYS[2], unpack(scores))
redis.call('DEL', KEYS[1], KEYS[2])
return 1
"""


async def measured(desk: Desk) -> dict[str, float]:
    """On an empty store."""
    empty = await _bytes(desk)
    await desk.fill(JOBS, PAYLOAD_BYTES)
    waiting = await _bytes(desk)
    enqueues, runs = await _scripts(desk)
    worker = Rounds(desk)
    while await worker.run(HELD):
        pass
    completed = await _bytes(desk)
    return {
        "bytes, waiting": (waiting - empty) / JOBS,
        "bytes, completed": (completed - empty) / (JOBS + GROUPS * ROUNDS * ENQUEUED),
        "scripts: enqueue": enqueues,
        "scripts: claim and settle": runs,
    }


async def _scripts(desk: Desk) -> tuple[float, float]:
    """What a job's scripts cost, to what an entry of the reference costs: medians of several groups of calls."""
    worker = Rounds(desk)
    await worker.run(HELD)
    groups = [await _group(desk, worker) for _ in range(GROUPS)]
    await worker.run(0)
    enqueues, runs = (statistics.median(column) for column in zip(*groups, strict=True))
    return enqueues, runs


async def _group(desk: Desk, worker: "Rounds") -> tuple[float, float]:
    """Of the quickest call of each."""
    references, enqueues, runs = [], [], []
    for _ in range(ROUNDS):
        await script_seconds(desk)
        await desk.server.client.eval(REFERENCE, 2, "reference:{r}:h", "reference:{r}:z", ENTRIES)
        references.append(await script_seconds(desk))
        await desk.add(*(job(PAYLOAD_BYTES) for _ in range(ENQUEUED)))
        enqueues.append(await script_seconds(desk))
        await worker.run(HELD)
        runs.append(await script_seconds(desk))
    entry = min(references) / ENTRIES
    return min(enqueues) / ENQUEUED / entry, min(runs) / HELD / entry


class Rounds:
    """A worker whose jobs have ended by its next call."""

    def __init__(self, desk: Desk) -> None:
        self._claims = desk.worker()
        self._ended: list[Settlement] = []

    async def run(self, jobs: int) -> int:
        """Settles what was claimed last and claims as many: how many it got."""
        claimed = (await self._claims.settle(self._ended, jobs)).jobs
        self._ended = [Settlement(one.id, one.fence, Outcome.COMPLETE, b"done") for one in claimed]
        return len(claimed)


async def script_seconds(desk: Desk) -> float:
    """In scripts, since the last time."""
    told = await desk.server.client.info("commandstats")
    await desk.server.client.config_resetstat()
    return float(sum(told[name]["usec"] for name in ("cmdstat_evalsha", "cmdstat_eval") if name in told)) / 1e6


async def _bytes(desk: Desk) -> float:
    return float((await desk.server.client.info("memory"))["used_memory"])
