"""Statistics whose worker is killed in the middle, or whose job is: nothing half-counted is kept, nothing goes on."""

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from qcollector.jobs.v1.analytics_pb2 import AnalyticsSystemAnalytics, AnalyticsSystemAnalyticsResult

from base.settings import Settings
from contract.catalog import Catalog
from engine.jobs import State
from engine.kept_results import KeptResults
from engine.steering import Steering
from engine.store import Store
from families.analytics.kept import ANALYTICS
from tests.analytics.conftest import QUEUES
from tests.conftest import eventually
from tests.desk import Desk, desk_of
from tests.held import held
from tests.postgres import PostgresServer
from tests.workers.conftest import LEASE, WorkerProcess, workers_for

QUEUE = QUEUES[0]


@pytest.fixture
async def killable(postgres: PostgresServer, settings: Settings, store: Store, catalog: Catalog) -> AsyncIterator[Desk]:
    """On a database of the test's own, and without a worker."""
    async with postgres.copy("sample") as told:
        yield desk_of(settings.model_copy(update={**told, "queue_lease_seconds": LEASE}), store, catalog)


@pytest.fixture
def new_worker(killable: Desk, tmp_path: Path) -> Iterator[Callable[[], WorkerProcess]]:
    with workers_for(killable.settings, tmp_path, QUEUE) as start:
        yield start


async def test_statistics_whose_worker_is_killed_are_calculated_by_another(
    killable: Desk, new_worker: Callable[[], WorkerProcess], store: Store
) -> None:
    kept = KeptResults(store, ANALYTICS)
    async with held(killable.settings) as lock:
        first = new_worker()
        job_id = await killable.enqueue(AnalyticsSystemAnalytics(period="ANALYTICS_PERIOD_YEAR"))
        await eventually(lock.waits, what="the worker counts")
        first.signal(signal.SIGKILL)
        first.process.wait(10)
        assert await kept.get("system-analytics/year") is None
        new_worker()
        await eventually(lambda: _started(killable, job_id, 2), what="another worker has it")
    record = await killable.end(job_id)
    assert (record.state, record.starts) == (State.COMPLETED, 2)
    assert AnalyticsSystemAnalyticsResult.FromString(record.result).analytics.submissions.total > 0
    assert await kept.get("system-analytics/year") is not None


async def test_cancelled_statistics_end_their_statement_and_keep_nothing(
    killable: Desk, new_worker: Callable[[], WorkerProcess], store: Store
) -> None:
    async with held(killable.settings) as lock:
        new_worker()
        job_id = await killable.enqueue(AnalyticsSystemAnalytics(period="ANALYTICS_PERIOD_YEAR"))
        await eventually(lock.waits, what="the worker counts")
        await Steering(store, killable.inspection).cancel(QUEUE, job_id, "enough")

        async def ended() -> bool:
            return not await lock.waits()

        await eventually(ended, seconds=15, what="nobody waits for the lock")
    assert (await killable.get(job_id)).state is State.CANCELLED
    assert await KeptResults(store, ANALYTICS).get("system-analytics/year") is None


async def _started(desk: Desk, job_id: str, times: int) -> bool:
    return (await desk.get(job_id)).starts >= times
