"""Workers on a cluster whose nodes die, one after the other: no job is lost, and no worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from pydantic import SecretStr
from testjobs.v1.testjobs_pb2 import Script, Step

from base.settings import Settings
from contract.catalog import Catalog
from contract.errors import StoreUnavailableError
from contract.new_job import NewJob
from engine.store import Store
from tests.cluster import cluster_url, nodes
from tests.conftest import ValkeyServer, eventually
from tests.engine.conftest import Engine, engine_on

from .conftest import WORK, new_job, workers_for

__all__ = ["nodes"]

KILLS_AFTER = (40, 80, 120)
"""So many jobs enqueued, a node is killed."""
JOBS = 160


async def test_every_job_completes_whichever_node_is_lost(
    settings: Settings, catalog: Catalog, tmp_path: Path, nodes: list[ValkeyServer]
) -> None:
    own = settings.model_copy(update={"redis_url": SecretStr(cluster_url(nodes))})
    async with _engine(own, catalog) as engine:
        with workers_for(own, tmp_path, WORK) as new_worker:
            workers = [await new_worker().started() for _ in range(2)]
            payload = Script(steps=[Step(sleep=20)]).SerializeToString()
            dying = iter(nodes)
            for number in range(JOBS):
                async with _lost(next(dying)) if number in KILLS_AFTER else nullcontext():
                    await _insist(engine, new_job(WORK, "script", payload, id=f"one{number}"))

            async def all_complete() -> bool:
                try:
                    return await engine.counts() == {"completed": JOBS}
                except StoreUnavailableError:
                    return False

            await eventually(all_complete, what="all complete")
            assert all(worker.alive for worker in workers)


async def _insist(engine: Engine, job: NewJob) -> None:
    """Enqueues it, as a client does: again under its id for as long as the store is away."""

    async def taken() -> bool:
        try:
            await engine.intake.enqueue(job)
        except StoreUnavailableError:
            return False
        return True

    await eventually(taken, what=f"{job.id} is taken")


@asynccontextmanager
async def _lost(node: ValkeyServer) -> AsyncIterator[None]:
    """It dies, and comes back by the end of the block."""
    node.kill()
    back = asyncio.create_task(asyncio.to_thread(node.start))
    yield
    await back


@asynccontextmanager
async def _engine(settings: Settings, catalog: Catalog) -> AsyncIterator[Engine]:
    store = await Store.open(settings)
    try:
        yield engine_on(store, settings, catalog)
    finally:
        await store.close()
