"""The engine on a real cluster of three nodes: every queue in one slot, every script within it."""

import asyncio
import contextlib
import random
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from qcollector.jobs.v1.queue_pb2 import Worker
from redis.crc import key_slot

from base.settings import Settings
from engine.catalog import Catalog
from engine.claims import Note
from engine.errors import StoreUnavailableError
from engine.inspection import BY_STATE
from engine.jobs import JobQuery, State
from engine.presence import Presence
from engine.scripts import load_scripts
from engine.steering import DELETE
from engine.store import Store
from tests.conftest import ValkeyServer, eventually

from .conftest import Engine, complete, engine_on, fail, job

SLOTS = 16384
NODES = 3


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ValkeyServer]]:
    """Three masters that share the slots."""
    servers = []
    for _ in range(NODES):
        folder: Path = tmp_path_factory.mktemp("node")
        port = _port_with_free_bus()
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        servers.append(ValkeyServer(folder, port, options).start())
    try:
        _join(servers)
        yield servers
    finally:
        for server in servers:
            server.kill()


def _port_with_free_bus() -> int:
    """A cluster node also listens 10,000 ports higher."""
    for _ in range(200):
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, socket.socket() as bus, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            return port
    raise AssertionError("no free pair of ports")


def _join(servers: list[ValkeyServer]) -> None:
    import redis  # noqa: PLC0415

    clients = [redis.Redis(port=server.port) for server in servers]
    for place, client in enumerate(clients):
        first, last = place * SLOTS // NODES, (place + 1) * SLOTS // NODES - 1
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
    for server in servers[1:]:
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port)

    def agreed() -> bool:
        infos = [client.execute_command("CLUSTER INFO") for client in clients]
        return all(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3" for info in infos)

    asyncio.run(eventually(agreed, what="the nodes to agree"))
    for client in clients:
        client.close()


@pytest.fixture
async def engine(nodes: list[ValkeyServer], settings: Settings, catalog: Catalog) -> AsyncIterator[Engine]:
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    from pydantic import SecretStr  # noqa: PLC0415

    settings = settings.model_copy(update={"redis_url": SecretStr(url)})
    store = await Store.open(settings)
    yield engine_on(store, settings, catalog)
    await store.close()


def test_every_key_of_a_queue_has_the_queues_slot_and_the_queues_spread(catalog: Catalog) -> None:
    from engine.keys import Keys  # noqa: PLC0415

    names = {key for script in load_scripts().values() for key in script.keys}
    slots = {queue: {key_slot(Keys("p", queue)[name].encode()) for name in names} for queue in catalog.queues}
    assert all(len(found) == 1 for found in slots.values())
    assert len({slot for found in slots.values() for slot in found}) == len(catalog.queues)


@pytest.mark.parametrize("queue", ["email:send", "email:batch", "test:work", "test:serial"])
async def test_a_jobs_whole_life_passes_on_a_cluster(engine: Engine, queue: str) -> None:
    await engine.add(*(job(f"j{n}", queue) for n in range(4)), job("later", queue, delay=60_000, digest=b"d"))
    await engine.steering.limit(queue, max_active=0)
    worker = engine.worker("w", queue)
    watch = engine.hub.watch(queue, "j0")
    assert (await anext(watch)).record
    one, two, three, four = (await worker.claim(9)).jobs
    assert await worker.note([Note("j0", one.fence, 50, (("log", "half"),), b"ckpt")]) == [True]
    assert await worker.extend([(one.id, one.fence)]) == ()
    await worker.settle([complete(one), fail(two)], 0)
    await engine.steering.cancel(queue, "j2")
    await engine.steering.promote(queue, "later")
    await engine.steering.retry(queue, "j1")
    async with asyncio.timeout(10):
        states = [change.event.state async for change in watch if change.event]
    assert states[-1] is State.COMPLETED
    stats = await engine.stats(queue)
    expected = {State.WAITING: 2, State.ACTIVE: 1, State.COMPLETED: 1, State.CANCELLED: 1}
    assert {state: count for state, count in stats.counts.items() if count} == expected
    assert len((await engine.inspection.page(queue, JobQuery(), size=2)).jobs) == 2
    assert (await engine.inspection.page(queue, JobQuery(states=frozenset({State.WAITING})), BY_STATE)).jobs
    logs = await engine.inspection.logs(queue, "j0")
    assert logs
    assert logs[1] == 1
    await engine.steering.pause(queue)
    assert (await worker.claim(5)).jobs == ()
    await engine.steering.resume(queue)
    assert await worker.wait_for_work(2)
    await worker.reap()
    assert sum((await engine.steering.clean(queue, 0)).values()) == 2
    await engine.steering.cancel(queue, four.id)
    assert (await engine.steering.change_many(DELETE, queue, JobQuery())).changed == 3
    assert three


async def test_workers_report_and_the_server_tells_its_version(engine: Engine) -> None:
    presence = Presence(engine.store)
    await presence.report(Worker(id="w1", host="h"))
    assert [worker.id for worker in await presence.workers()] == ["w1"]
    assert str((await engine.store.server_info())["version"]).startswith("valkey ")
    assert await engine.store.ping() > 0


async def test_a_lost_node_is_unavailable_and_the_cluster_heals(engine: Engine, nodes: list[ValkeyServer]) -> None:
    slot = key_slot(engine.store.keys("test:work")["jobs"].encode())
    node = nodes[min(slot * NODES // SLOTS, NODES - 1)]
    node.kill()
    with pytest.raises(StoreUnavailableError):
        await engine.intake.enqueue(job("a"))
    node.start()
    await eventually(lambda: _enqueued(engine), seconds=30)


async def _enqueued(engine: Engine) -> bool:
    with contextlib.suppress(StoreUnavailableError, subprocess.SubprocessError):
        await engine.intake.enqueue(job("a"))
        return True
    return False
