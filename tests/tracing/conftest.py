"""Envoy, service, worker and mail sink as processes of their own, all of which trace to a collector of the tests' own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from base.settings import PROJECT
from stack.ports import free_port
from tests.conftest import ValkeyServer
from tests.gateway.front import Front, command, environment, running_envoy, running_service
from tests.tracing.collector import Collector, collecting

HEADERS = "x-api-key=of%20the%20tests"


@dataclass(frozen=True)
class Traced:
    """What runs."""

    collector: Collector
    front: Front
    told: dict[str, str]
    """The environment that the processes have."""

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.front.grpc}"


@pytest.fixture(scope="module")
def traced(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    home = tmp_path_factory.mktemp("tracing")
    mail = free_port()
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        told: dict[str, str | int] = {
            "REDIS_URL": valkey.url,
            "REDIS_KEY_PREFIX": f"tracing{os.getpid()}",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": mail,
            "LOG_FORMAT": "json",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_EXPORTER_OTLP_HEADERS": HEADERS,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
            "OTEL_BSP_SCHEDULE_DELAY": 50,
        }
        (home / "outbox").mkdir()
        sink = subprocess.Popen(
            [sys.executable, "-m", "families.email.mailsink", str(home / "outbox"), str(mail)],
            cwd=PROJECT,
            env=environment(home),
            stderr=subprocess.DEVNULL,
        )
        stack.callback(sink.wait)
        stack.callback(sink.kill)
        port, _ = stack.enter_context(running_service(home, **told))
        metrics = free_port()
        stack.enter_context(
            command("worker", metrics, environment(home, METRICS_PORT=metrics, **told), home / "worker.out")
        )
        front = stack.enter_context(running_envoy(home / "envoy", port, **told))
        yield Traced(collector, front, environment(home, **told))
