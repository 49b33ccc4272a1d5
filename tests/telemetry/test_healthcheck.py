"""`qjobs healthcheck`, as the probes of containers call it."""

import subprocess
import sys

import pytest

from base.settings import PROJECT
from stack.ports import free_port
from tests.conftest import eventually
from tests.service.conftest import Caller
from tests.telemetry.conftest import PROCESSES, Processes


def healthcheck(processes: Processes, *arguments: str, **told: str | int) -> subprocess.CompletedProcess[str]:
    more = {name: str(value) for name, value in told.items()}
    return subprocess.run(
        [sys.executable, "-m", "stack.cli", "healthcheck", *arguments],
        env={**processes.told, **more},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("name", PROCESSES)
async def test_a_process_that_works_is_said_to(processes: Processes, caller: Caller, name: str) -> None:
    assert caller
    for arguments in ((name,), (name, "--live")):
        done = healthcheck(processes, *arguments, METRICS_PORT=processes.ports[name])
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", [*PROCESSES, "envoy"])
def test_one_that_is_not_there_is_status_1_and_one_line(processes: Processes, name: str) -> None:
    port = free_port(avoid=processes.taken)
    done = healthcheck(processes, name, METRICS_PORT=port, GRPC_PORT=port, ENVOY_ADMIN_PORT=port)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(port) in done.stderr
    assert "_PORT" in done.stderr


async def test_one_that_is_not_ready_says_why(processes: Processes, caller: Caller) -> None:
    assert caller
    alone = Processes(processes.folder, {**processes.told, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"})
    alone.start("scheduler")
    try:

        def told() -> bool:
            done = healthcheck(alone, "scheduler", METRICS_PORT=alone.ports["scheduler"])
            assert done.returncode == 1
            return "the schedules have not been read yet" in done.stderr

        await eventually(told, every=0.1, what="it says why")
        assert healthcheck(alone, "scheduler", "--live", METRICS_PORT=alone.ports["scheduler"]).returncode == 0
    finally:
        alone.end()


def test_what_cannot_be_asked_says_so(processes: Processes) -> None:
    done = healthcheck(processes, "worker", METRICS_PORT=0)
    assert (done.returncode, "METRICS_PORT is 0" in done.stderr) == (1, True)
    done = healthcheck(processes, "database")
    assert done.returncode == 2
    assert "service, worker, scheduler, envoy" in done.stderr
