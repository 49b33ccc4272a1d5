"""A service, a worker and a scheduler as processes of their own, each with its metrics, and a mail server's stand-in."""

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from base.settings import PROJECT, settings_class
from stack.ports import free_port
from tests.conftest import ValkeyServer, eventually
from tests.service.conftest import SECRET, Caller, bearer
from tests.telemetry.exposed import Page, fetch, scrape

PROCESSES = ("service", "worker", "scheduler")
_numbers = itertools.count(1)


@dataclass
class Processes:
    """What runs, and on which ports."""

    folder: Path
    told: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *arguments: str, **told: str | int) -> subprocess.Popen[bytes]:
        """`qjobs NAME`, with a METRICS_PORT of its own."""
        self.ports[name] = free_port(avoid=self.taken)
        more = {key: str(value) for key, value in {"METRICS_PORT": self.ports[name], **told}.items()}
        with self.log(name).open("ab") as output:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "stack.cli", name, *arguments],
                env={**self.told, **more},
                cwd=PROJECT,
                stdout=output,
                stderr=output,
            )
        return self._running[name]

    @property
    def taken(self) -> set[int]:
        return {*self.ports.values(), int(self.told["GRPC_PORT"]), int(self.told.get("SMTP_PORT", 0))}

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    async def ready(self, name: str) -> None:
        def answers() -> bool:
            with contextlib.suppress(OSError):
                return fetch(self.ports[name], "/readyz")[0] == 200
            assert self._running[name].poll() is None, self.log(name).read_text()
            return False

        await eventually(answers, every=0.05, what=f"{name} is ready")

    def page(self, name: str) -> Page:
        return scrape(self.ports[name])

    def end(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environment(valkey: ValkeyServer, folder: Path, **told: str | int) -> dict[str, str]:
    known = {name.upper() for name in settings_class().model_fields}
    bare = {name: value for name, value in os.environ.items() if name not in known and not name.startswith("OTEL_")}
    given: Mapping[str, str | int] = {
        "REDIS_URL": valkey.url,
        "REDIS_KEY_PREFIX": f"m{os.getpid()}.{next(_numbers)}",
        "JOB_PLUGINS": "testjobs",
        "JWT_SECRET": SECRET,
        "DATA_DIR": str(folder / "data"),
        "GRPC_PORT": free_port(avoid=[int(told.get("SMTP_PORT", 0))]),
        "LOG_FORMAT": "json",
        "SHUTDOWN_GRACE_SECONDS": 1,
        "PYTHONPATH": ":".join(str(PROJECT / part) for part in (".", "gen", "tests/plugin")),
        **told,
    }
    return bare | {name: str(value) for name, value in given.items()}


@pytest.fixture(scope="module")
def processes(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """All three, for the tests of a module."""
    folder = tmp_path_factory.mktemp("telemetry")
    mail_port = free_port()
    sink = subprocess.Popen(
        [sys.executable, "-m", "families.email.mailsink", str(folder / "outbox"), str(mail_port)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": ":".join(str(PROJECT / part) for part in (".", "gen"))},
        stderr=subprocess.DEVNULL,
    )
    (folder / "outbox").mkdir()
    running = Processes(folder, environment(valkey, folder, SMTP_HOST="127.0.0.1", SMTP_PORT=mail_port))
    for name in PROCESSES:
        running.start(name)
    yield running
    running.end()
    sink.kill()
    sink.wait()


@pytest.fixture
async def caller(processes: Processes) -> AsyncIterator[Caller]:
    """An administrator, once all processes are ready."""
    for name in PROCESSES:
        await processes.ready(name)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{processes.told['GRPC_PORT']}") as channel:
        yield Caller(channel, bearer(role="super_admin"))
