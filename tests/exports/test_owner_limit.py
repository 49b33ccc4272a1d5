"""Of one caller's exports no more than EXPORT_MAX_PER_USER are ever active, also while workers are killed; none is stranded."""

import itertools
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any, cast

from qcollector.jobs.v1.export_pb2 import ExportFormat, ExportFormSubmissions
from qcollector.jobs.v1.job_pb2 import Caller

from base.settings import Settings
from contract.catalog import Catalog
from engine.jobs import State
from engine.packing import unpack
from engine.schema import EventEntry, rows_of
from engine.store import Store
from tests.conftest import eventually
from tests.exports.conftest import QUEUE, SATISFACTION, Desk, desk_of, working
from tests.workers.conftest import workers_for

LIMIT, USERS, EACH = 2, ("alice", "bob", "carol"), 20
EXPORT = ExportFormSubmissions(form_id=SATISFACTION, format=ExportFormat.EXPORT_FORMAT_CSV)


async def test_exports_over_the_limit_start_without_delay_and_only_once(
    sample_database: Settings, store: Store, catalog: Catalog
) -> None:
    desk = desk_of(sample_database, store, catalog)
    jobs = [await desk.enqueue(EXPORT, Caller(id="alice", role="general_user")) for _ in range(6)]
    async with working(desk.settings, export_concurrency=4, export_max_per_user=1):
        records = [await desk.end(job) for job in jobs]
    assert {(one.state, one.fails, one.starts) for one in records} == {(State.COMPLETED, 0, 1)}
    gaps = [later.started - earlier.finished for earlier, later in itertools.pairwise(records)]
    assert min(gaps) >= 0, "one after the other, in their order"
    assert sorted(gaps)[len(gaps) // 2] < 1000, "as soon as one has ended"
    assert len(desk.files()) == len(jobs)


async def test_the_limit_holds_and_all_complete_while_workers_are_killed(
    sample_database: Settings, store: Store, catalog: Catalog, tmp_path: Path
) -> None:
    desk = desk_of(sample_database, store, catalog)
    told: dict[str, str | float] = {"EXPORT_CONCURRENCY": 4, "EXPORT_MAX_PER_USER": LIMIT}
    with workers_for(sample_database, tmp_path, QUEUE, **told) as start:
        victims = [start() for _ in range(3)]
        for victim in victims:
            await victim.started()
        for _, user in itertools.product(range(EACH), USERS):
            await desk.enqueue(EXPORT, Caller(id=user, role="general_user"))
        for victim in victims:
            await eventually(partial(victim.lines, "job_ended"), what="it is at work", every=0.005)
            victim.kill()
            start()
        await eventually(lambda: _all_complete(desk), seconds=90, what="all exports completed")
    assert await _most_active(desk, store) == dict.fromkeys(USERS, LIMIT)


async def _all_complete(desk: Desk) -> bool:
    (stats,) = await desk.inspection.stats([QUEUE])
    assert stats.counts[State.FAILED] == 0
    return stats.counts[State.COMPLETED] == EACH * len(USERS)


async def _most_active(desk: Desk, store: Store) -> dict[str, int]:
    """The most jobs of each caller that were ever active at once, out of all events of the queue, in their order."""
    entries = await cast("Any", store.client).xrange(store.keys(QUEUE)["events"])
    active: dict[str, set[str]] = defaultdict(set)
    most: dict[str, int] = defaultdict(int)
    owners: dict[str, str] = {}
    for _, fields in entries:
        for event in rows_of(EventEntry, unpack(fields[b"e"])):
            if event.id not in owners:
                owners[event.id] = (await desk.get(event.id)).envelope.created_by.id
            owner = owners[event.id]
            (active[owner].add if event.state == State.ACTIVE else active[owner].discard)(event.id)
            most[owner] = max(most[owner], len(active[owner]))
    return most
