"""A whole stack as its operator sees it. One stack for all these tests: none of them ends it."""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from base.settings import PROJECT
from families.database.encryption import UNREADABLE, AnswerCipher
from families.database.sample_data.ids import form_id
from families.database.sample_data.people import ADMIN_ID
from tests.conftest import eventually
from tests.stack.running import PARTS, RunningStack, environment, ports_in_a_row, qjobs
from tests.telemetry.exposed import scrape

MEASURED = ("service-1", "worker-1", "scheduler")
"""The processes with metrics, in the order of their ports."""
WELCOME = {"user": {"email": "user@example.com"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home = tmp_path_factory.mktemp("up") / "data"
    stack = RunningStack(home, environment(home, SAMPLE_DATA="true"))
    stack.told["METRICS_PORT"] = str(ports_in_a_row(len(MEASURED), stack.told.values()))
    # A server of an earlier stack had the port that is the service's now.
    home.mkdir(0o711)
    (home / "run").mkdir(0o700)
    (home / "run" / "ports.json").write_text(json.dumps({"mail": int(stack.told["GRPC_PORT"])}))
    stack.start()
    try:
        asyncio.run(stack.ready())
        yield stack
    finally:
        stack.discard()


@pytest.fixture
def stack(running: RunningStack) -> RunningStack:
    assert running.alive, running.said
    return running


async def test_everything_runs_and_the_printed_token_works(stack: RunningStack) -> None:
    assert set(stack.pids) == PARTS
    status, health = stack.call("GET", "health")
    assert (status, health["status"]) == (200, "healthy"), health


async def test_an_embedded_server_makes_way_for_a_port_of_the_settings(stack: RunningStack) -> None:
    ports = json.loads((stack.home / "run" / "ports.json").read_text())
    assert ports["mail"] != int(stack.told["GRPC_PORT"])


async def test_the_printed_token_is_the_sample_administrators_and_exports_its_forms(stack: RunningStack) -> None:
    job_id = stack.enqueue("export:data", "form-submissions", {"formId": str(form_id(1)), "format": "csv"})
    await eventually(lambda: stack.state("export:data", job_id) == "COMPLETED", what="the export")
    job = stack.job("export:data", job_id)
    assert job["createdBy"] == {"id": str(ADMIN_ID), "name": "demo", "role": "admin"}
    assert job["result"]["exportFormSubmissions"]["metadata"]["recordCount"] > 0


async def test_operators_need_no_settings_and_nobody_else_can_read_them(stack: RunningStack) -> None:
    told = environment(stack.home)
    left = stack.home / "run" / "operator.json"
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    seen = qjobs("stats", "-o", "json", told=told)
    assert seen.returncode == 0, seen.stderr
    assert f'"workers": {len([name for name in PARTS if name.startswith("worker")])}' in seen.stdout
    sent = qjobs("job", "enqueue", "email:send", "welcome", "--set", "user.email=ada@example.com", "--wait", told=told)
    assert sent.returncode == 0, sent.stderr
    assert "completed" in sent.stdout


async def test_the_first_command_that_is_printed_works_in_a_bare_shell(stack: RunningStack) -> None:
    (command,) = re.findall(r"^  (\S*qjobs stats)$", stack.said, re.MULTILINE)
    bare = {"PATH": "/usr/bin:/bin", "DATA_DIR": stack.told["DATA_DIR"]}
    shell = subprocess.run(["sh", "-c", command], env=bare, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert shell.returncode == 0, shell.stderr
    assert "email:send" in shell.stdout


async def test_each_process_has_a_metrics_port_of_its_own_and_they_are_printed(stack: RunningStack) -> None:
    first = int(stack.told["METRICS_PORT"])
    (line,) = re.findall(r"^  Metrics +(.+): /metrics$", stack.said, re.MULTILINE)
    assert line == ", ".join(f"127.0.0.1:{first + place} ({name})" for place, name in enumerate(MEASURED))
    for place, name in enumerate(MEASURED):
        page = scrape(first + place)
        assert page.value("qjobs_build_info", component=name.partition("-")[0]) == 1
        assert page.value("process_start_time_seconds") == pytest.approx(
            psutil.Process(stack.pids[name]).create_time(), abs=2
        )


async def test_a_metrics_port_that_is_taken_is_named(tmp_path: Path) -> None:
    told = environment(tmp_path / "data")
    first = ports_in_a_row(len(MEASURED), told.values())
    with socket.create_server(("127.0.0.1", first + 1)):
        second = qjobs("up", told={**told, "METRICS_PORT": str(first)})
    assert second.returncode == 2
    assert f"METRICS_PORT (+1): another program listens on 127.0.0.1:{first + 1}" in second.stderr


async def test_a_mail_ends_as_a_file_and_goes_nowhere_else(stack: RunningStack) -> None:
    job_id = stack.enqueue("email:send", "welcome", WELCOME)
    await eventually(lambda: stack.state("email:send", job_id) == "COMPLETED", what="the mail's job")
    mails = [path.read_text() for path in (stack.home / "outbox").glob("*.eml")]
    assert any("X-Envelope-To: user@example.com" in mail for mail in mails)


async def test_a_second_supervisor_on_the_same_data_is_refused(stack: RunningStack) -> None:
    second = qjobs("up", told=environment(stack.home))
    assert second.returncode == 2
    assert "already" in second.stderr
    assert str(stack.process.pid if stack.process else 0) in second.stderr
    assert "Traceback" not in second.stderr


async def test_a_port_that_is_taken_is_named_with_its_variable(stack: RunningStack, tmp_path: Path) -> None:
    taken = {name: stack.told[name] for name in ("REST_PORT", "GRPC_PORT", "ENVOY_ADMIN_PORT")}
    second = qjobs("up", told=environment(tmp_path / "data", **taken))
    assert second.returncode == 2
    assert f"REST_PORT: another program listens on 127.0.0.1:{taken['REST_PORT']}" in second.stderr
    assert "GRPC_PORT" in second.stderr


async def test_all_listens_on_loopback_alone(stack: RunningStack) -> None:
    for name, pid in stack.pids.items():
        hosts = {c.laddr.ip for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        assert hosts <= {"127.0.0.1", "::ffff:127.0.0.1"}, name


async def test_the_store_wants_its_password_and_secrets_are_the_owners_alone(stack: RunningStack) -> None:
    run = stack.home / "run"
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    for path in (*run.glob("*.secret"), run / "valkey.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    password = (run / "valkey.secret").read_text()
    port = int(
        next(line for line in (run / "valkey.conf").read_text().splitlines() if line.startswith("port")).split()[1]
    )
    async with Redis(port=port) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.ping()
    async with Redis(port=port, password=password) as client:
        assert (await client.config_get("appendonly", "appendfsync", "maxmemory-policy")) == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }


async def test_postgresql_serves_sample_data_that_the_service_can_read_and_not_as_root(stack: RunningStack) -> None:
    environ = dict(
        line.split("=", 1) for line in Path(f"/proc/{stack.pids['service-1']}/environ").read_text().split("\0") if line
    )
    connection = await asyncpg.connect(environ["DATABASE_URL"])
    assert await connection.fetchval("SELECT count(*) FROM submissions") > 5000
    answer = await connection.fetchval("SELECT value_encrypted FROM submission_data WHERE is_encrypted LIMIT 1")
    await connection.close()
    cipher = AnswerCipher(SecretStr(environ["ENCRYPTION_KEY"]))
    assert cipher.decrypt(answer) != UNREADABLE
    assert str(form_id(1)) in stack.said
    if os.geteuid() == 0:
        assert psutil.Process(stack.pids["postgres"]).uids().effective != 0


async def test_whatever_is_killed_is_started_again_and_work_goes_on(stack: RunningStack) -> None:
    before = stack.pids
    waiting = stack.enqueue("email:send", "welcome", WELCOME, delay=60_000)
    await asyncio.sleep(1.1)  # the store writes to disk once a second
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: stack.said.count("ready again") >= len(PARTS), seconds=40, what="all ready again")
    assert all(stack.pids[name] != pid for name, pid in before.items())
    assert stack.state("email:send", waiting) == "DELAYED"
    job_id = stack.enqueue("email:send", "welcome", WELCOME)
    await eventually(lambda: stack.state("email:send", job_id) == "COMPLETED", what="a job after the restart")
