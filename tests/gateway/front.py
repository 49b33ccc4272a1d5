"""The front door under test: `qjobs service` and `qjobs envoy` as processes of their own, and a caller."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.settings import PROJECT, settings_class
from stack.ports import LOOPBACK, free_port
from stack.tokens import sign
from tests.conftest import listens, until

SECRET = "a-secret-of-the-gateway-tests"


def environment(home: Path, **told: str | int) -> dict[str, str]:
    """What a process is told: nothing of the settings around the tests, and `told`."""
    known = {name.upper() for name in settings_class().model_fields}
    bare = {name: value for name, value in os.environ.items() if name not in known}
    paths = ":".join(str(PROJECT / folder) for folder in (".", "gen", "tests/plugin"))
    set_up = {"DATA_DIR": str(home), "JWT_SECRET": SECRET, "JOB_PLUGINS": "testjobs", "PYTHONPATH": paths}
    told = {**set_up, "METRICS_PORT": 0, "BOARD_ENABLED": "false", **told}
    return bare | {name: str(value) for name, value in told.items()}


@contextlib.contextmanager
def command(
    words: str, port: int, told: Mapping[str, str], log: Path, run: Sequence[str] = ("-m", "stack.cli")
) -> Iterator[subprocess.Popen[bytes]]:
    """`qjobs WORDS`, or what Python is to run instead, for as long as the block lasts, once it listens on the port."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *run, *words.split()], env=dict(told), stdout=output, stderr=output, cwd=PROJECT
        )
    try:
        wait_until_listening(process, port, log)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until(
        lambda: listens(port) or process.poll() is not None,
        seconds=100,
        what=lambda: f"somebody listens on {port}: {log.read_text()[-2000:]}",
    )
    assert process.poll() is None, log.read_text()[-2000:]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        assert self.headers["content-type"].startswith("application/json"), self.text
        return json.loads(self.text)

    @property
    def reason(self) -> str:
        """The `reason` of the ErrorInfo that an error carries."""
        found = [detail for detail in self.json["details"] if detail["@type"].endswith("/google.rpc.ErrorInfo")]
        return str(found[0]["reason"]) if found else ""


def token(role: str = "admin", subject: str = "tester") -> str:
    return sign(SECRET, subject=subject, role=role, name="Tester", seconds=86_400)


@dataclass(frozen=True)
class Front:
    """One Envoy, and the address of the service behind it."""

    rest: int
    grpc: int
    admin: int
    pid: int = 0
    headers: Mapping[str, str] = field(default_factory=lambda: {"authorization": f"Bearer {token()}"})

    def call(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        """One request below /api/v1/queue. A header that is None is left out; `_` in its name stands for `-`."""
        connection = self.send(method, path, body, **headers)
        try:
            response = connection.getresponse()
            text = response.read().decode()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
        finally:
            connection.close()

    def send(self, method: str, path: str, body: Any = None, **headers: str | None) -> http.client.HTTPConnection:
        """Sends it, for whoever reads the answer piece by piece."""
        sent: dict[str, str | None] = {**self.headers}
        if body is not None:
            sent["content-type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(LOOPBACK, self.rest, timeout=20)
        connection.request(
            method,
            path if path.startswith("/") else f"/api/v1/queue/{path}",
            json.dumps(body) if isinstance(body, dict | list) else body,
            {name: value for name, value in sent.items() if value is not None},
        )
        return connection

    def enqueue(self, job_type: str = "welcome", **options: Any) -> str:
        """A job that stays, as nobody works; its id."""
        body = {
            "queueName": "email:send",
            "jobType": job_type,
            "data": {"user": {"id": 1, "email": "user@example.com"}},
            "options": options,
        }
        answer = self.call("POST", "jobs", body)
        assert answer.status == 200, answer.text
        return str(answer.json["jobId"])


@contextlib.contextmanager
def running_envoy(
    home: Path, grpc: int, *, run: Sequence[str] = ("-m", "stack.cli"), behind: Sequence[int] = (), **told: str | int
) -> Iterator[Front]:
    """An Envoy before the service at that port, with settings of its own; or at that port itself, before those `behind` it."""
    ports = {"REST_PORT": free_port(), "GRPC_PORT": grpc, "ENVOY_ADMIN_PORT": free_port()}
    home.mkdir(parents=True, exist_ok=True)
    words = "envoy" + (" --grpc" if behind else "") + "".join(f" --service {LOOPBACK}:{each}" for each in behind)
    with command(words, ports["REST_PORT"], environment(home, **ports, **told), home / "envoy.out", run) as process:
        yield Front(rest=ports["REST_PORT"], grpc=grpc, admin=ports["ENVOY_ADMIN_PORT"], pid=process.pid)


@contextlib.contextmanager
def running_service(home: Path, **told: str | int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A service, its port and its process."""
    port = free_port()
    home.mkdir(parents=True, exist_ok=True)
    with command("service", port, environment(home, GRPC_PORT=port, **told), home / "service.out") as process:
        yield port, process
