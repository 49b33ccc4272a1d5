"""A gateway, a service and a store that nobody else uses: what the examples show depends on nothing but them."""

import asyncio
from collections.abc import Iterator

import pytest

from base.settings import load
from contract.catalog import load_catalog
from tests.conftest import ValkeyServer, free_port
from tests.gateway.front import running_envoy, running_service
from tests.golden.stage import Stage
from tests.postgres import PostgresServer


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("golden")
    valkey = ValkeyServer(home / "valkey", free_port()).start()
    try:
        database = asyncio.run(postgres.itself("sample"))
        told = {name.upper(): value.get_secret_value() for name, value in database.items()}
        told |= {"REDIS_URL": valkey.url, "REDIS_KEY_PREFIX": "golden"}
        with (
            running_service(home / "service", **told, JOB_PLUGINS="") as (port, _),
            running_envoy(home / "envoy", port, JOB_PLUGINS="") as front,
        ):
            settings = load(redis_url=valkey.url, redis_key_prefix="golden", data_dir=home / "service")
            yield Stage(front, settings, load_catalog(()))
    finally:
        valkey.kill()
