"""A stack under test: `qjobs up` as a process of its own, and what it says."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.settings import PROJECT, settings_class
from stack.ports import LOOPBACK, free_port, is_free
from tests.conftest import eventually

PARTS = {"valkey", "postgres", "mail", "service-1", "worker-1", "scheduler", "envoy"}


def environment(home: Path, **told: str | int) -> dict[str, str]:
    """None of the settings around the tests, ports that are free, and `told`."""
    known = {name.upper() for name in settings_class().model_fields}
    bare = {name: value for name, value in os.environ.items() if name not in known}
    paths = ":".join(str(PROJECT / folder) for folder in (".", "gen", "tests/plugin"))
    ports: dict[str, int] = {}
    for name in ("REST_PORT", "GRPC_PORT", "ENVOY_ADMIN_PORT"):
        ports[name] = free_port(avoid=ports.values())
    set_up = {"DATA_DIR": str(home), "JOB_PLUGINS": "testjobs", "PYTHONPATH": paths, "SHUTDOWN_GRACE_SECONDS": 1}
    set_up["METRICS_PORT"] = 0
    set_up |= {"SAMPLE_DATA": "false", "BOARD_ENABLED": "false"}  # seconds of work, for tests that do not look at it
    return bare | {name: str(value) for name, value in {**set_up, **ports, **told}.items()}


def ports_in_a_row(count: int, avoid: Collection[str]) -> int:
    """The first of so many free ports that follow one another."""
    while True:
        first = free_port()
        row = range(first, first + count)
        if all(is_free(LOOPBACK, port) and str(port) not in avoid for port in row):
            return first


def qjobs(*arguments: str, told: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "stack.cli", *arguments],
        env=dict(told),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class RunningStack:
    """Starts, stops and asks one stack; starts it again on the same data."""

    home: Path
    told: dict[str, str]
    program: tuple[str | Path, ...] = (sys.executable, "-m", "stack.cli")
    cwd: Path = PROJECT
    process: subprocess.Popen[bytes] | None = None
    output: Path = field(init=False)

    def __post_init__(self) -> None:
        self.output = Path(tempfile.mkstemp(prefix="qjobs-up-", suffix=".out")[1])

    def start(self) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*self.program, "up"],
                env=self.told,
                cwd=self.cwd,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def ready(self, seconds: float = 60) -> None:
        await eventually(lambda: "Ready after" in self.said or not self.alive, seconds=seconds, what="ready")
        assert self.alive, self.said

    @property
    def said(self) -> str:
        return self.output.read_text("utf-8")

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pids(self) -> dict[str, int]:
        """The process that each part was last said to be."""
        return {name: int(pid) for name, pid in re.findall(r"(\S+) +ready(?: again)? \(process (\d+)\)", self.said)}

    @property
    def token(self) -> str:
        return re.findall(r"export TOKEN=(\S+)", self.said)[-1]

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        assert self.process is not None
        (os.killpg if group else os.kill)(self.process.pid, number)

    async def ended(self, seconds: float) -> int:
        """Its exit status, once it has ended."""
        assert self.process is not None
        await eventually(lambda: not self.alive, seconds=seconds, what=self.said)
        return self.process.wait()

    async def no_process_left(self, pids: Mapping[str, int], seconds: float = 5) -> None:
        await eventually(lambda: not any(runs(pid) for pid in pids.values()), seconds=seconds, what=f"ended: {pids}")

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One REST call below /api/v1/queue, or wherever a whole path says, with the development token: status and JSON."""
        path = path if path.startswith("/") else f"/api/v1/queue/{path}"
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.told['REST_PORT']}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self.token}", "content-type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def enqueue(self, queue: str, job_type: str, data: Mapping[str, Any], **options: Any) -> str:
        body = {"queueName": queue, "jobType": job_type, "data": data, "options": options}
        status, answer = self.call("POST", "jobs", body)
        assert status == 200, answer
        return str(answer["jobId"])

    def job(self, queue: str, job_id: str) -> dict[str, Any]:
        status, answer = self.call("GET", f"{queue}/jobs/{job_id}")
        assert status == 200, answer
        job: dict[str, Any] = answer["data"]
        return job

    def state(self, queue: str, job_id: str) -> str:
        return str(self.job(queue, job_id)["state"]).removeprefix("JOB_STATE_")

    def discard(self) -> None:
        """Whatever the test left."""
        if self.alive and self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(25)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.unlink()


def runs(pid: int) -> bool:
    """Whether the process is there and no mere entry in the table."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
