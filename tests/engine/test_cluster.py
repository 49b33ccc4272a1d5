"""The engine on a real cluster of three nodes: every queue in one slot, every script within it."""

import asyncio
import contextlib
import signal
import subprocess
from functools import partial
from typing import Any

import pytest
from qcollector.jobs.v1.queue_pb2 import Worker
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.crc import key_slot

from base.settings import Settings
from contract.catalog import Catalog
from contract.errors import StoreUnavailableError
from engine.actions import DELETE
from engine.claims import Note
from engine.inspection import BY_STATE
from engine.jobs import JobQuery, State
from engine.presence import Presence
from engine.scripts import load_scripts
from tests.cluster import NODES, SLOTS
from tests.conftest import ValkeyServer, eventually

from .conftest import Engine, complete, fail, job

CALLERS, LOST = 4, 20
"""Callers of each queue at once, and how many calls are to be lost with each node."""

pytestmark = pytest.mark.parametrize("settings", ["cluster"], indirect=True)


def test_every_key_of_a_queue_has_the_queues_slot_and_the_queues_spread(catalog: Catalog, settings: Settings) -> None:
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
    assert await worker.note([Note("j0", one.fence, 50, (("log", "half"),), b"ckpt")]) == [None]
    assert await worker.extend([(one.id, one.fence)]) == {}
    await worker.settle([complete(one), fail(two)], 0)
    await engine.steering.cancel(queue, "j2")
    await engine.steering.promote(queue, "later")
    await engine.steering.retry(queue, "j1")
    async with asyncio.timeout(10):
        states = [change.state async for change in watch]
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


async def test_connections_that_the_nodes_have_closed_cost_nobody_an_error(engine: Engine, catalog: Catalog) -> None:
    async def ask() -> None:
        await asyncio.gather(*(engine.stats(queue) for queue in catalog.queues for _ in range(5)))

    await ask()  # also the first calls of a client, which do not know yet which node holds what
    client = engine.store.client
    assert isinstance(client, RedisCluster)
    for node in client.get_primaries():
        await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no", target_nodes=node)
    await ask()


async def test_workers_report_and_the_server_tells_its_version(engine: Engine) -> None:
    presence = Presence(engine.store)
    await presence.report(Worker(id="w1", host="h"))
    assert [worker.id for worker in await presence.workers()] == ["w1"]
    assert str((await engine.store.server_info())["version"]).startswith("valkey ")
    assert await engine.store.check() > 0


async def test_a_lost_node_is_unavailable_and_the_cluster_heals(engine: Engine, nodes: list[ValkeyServer]) -> None:
    slot = key_slot(engine.store.keys("test:work")["jobs"].encode())
    node = nodes[min(slot * NODES // SLOTS, NODES - 1)]
    node.kill()
    with pytest.raises(StoreUnavailableError):
        await engine.intake.enqueue(job("a"))
    node.start()
    await eventually(lambda: _enqueued(engine), seconds=30)


async def test_a_node_that_stands_still_is_asked_once(
    engine: Engine, nodes: list[ValkeyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.stats("test:work")
    client: Any = engine.store.client
    execute, asked = client._execute_command, []

    async def counted(node: ClusterNode, *arguments: Any, **options: Any) -> Any:
        asked.append(node.name)
        return await execute(node, *arguments, **options)

    monkeypatch.setattr(client, "_execute_command", counted)
    slot = key_slot(engine.store.keys("test:work")["jobs"].encode())
    process = nodes[min(slot * NODES // SLOTS, NODES - 1)].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailableError):
            await engine.inspection.state("test:work", "a")
    finally:
        process.send_signal(signal.SIGCONT)
    assert len(asked) == 1
    await eventually(lambda: _enqueued(engine), seconds=30)


async def test_of_many_callers_that_a_node_is_lost_to_each_hears_that_it_is_unavailable(
    engine: Engine, catalog: Catalog, nodes: list[ValkeyServer]
) -> None:
    ended = asyncio.Event()
    failures: list[Exception] = []

    async def call(queue: str) -> None:
        while not ended.is_set():
            try:
                await engine.stats(queue)
            except Exception as error:  # noqa: BLE001  (which is what is asked)
                failures.append(error)
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as callers:
        for queue in [*catalog.queues] * CALLERS:
            callers.create_task(call(queue))
        for node in nodes:
            node.kill()
            await _longer(failures, len(failures) + LOST)
            await asyncio.to_thread(node.start)
        ended.set()
    assert {type(failure) for failure in failures} == {StoreUnavailableError}
    for queue in catalog.queues:
        await eventually(partial(_enqueued, engine, queue), seconds=30)


async def _longer(failures: list[Exception], than: int) -> None:
    await eventually(lambda: len(failures) > than, what="callers notice")


async def _enqueued(engine: Engine, queue: str = "test:work") -> bool:
    with contextlib.suppress(StoreUnavailableError, subprocess.SubprocessError):
        await engine.intake.enqueue(job("a", queue))
        return True
    return False
