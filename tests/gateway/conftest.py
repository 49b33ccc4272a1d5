"""One service and one Envoy for all tests of the front door; no worker, so that jobs stay where they are put."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ValkeyServer
from tests.gateway.front import Front, running_envoy, running_service


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="session")
def service(valkey: ValkeyServer, home: Path) -> Iterator[int]:
    """The port of the service."""
    with running_service(home / "service", REDIS_URL=valkey.url, REDIS_KEY_PREFIX=f"gateway{os.getpid()}") as (port, _):
        yield port


@pytest.fixture(scope="session")
def front(service: int, home: Path) -> Iterator[Front]:
    with running_envoy(home / "envoy", service) as started:
        yield started
