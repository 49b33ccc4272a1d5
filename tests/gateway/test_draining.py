"""An Envoy that is about to be stopped sends its callers elsewhere, and cuts off none of them."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.settings import PROJECT
from stack.envoy import READY_PATH
from stack.ports import LOOPBACK
from tests.conftest import until
from tests.gateway.front import Front, environment, running_envoy


@pytest.fixture
def own_front(service: int, tmp_path: Path) -> Iterator[Front]:
    with running_envoy(tmp_path / "envoy", service) as started:
        yield started


def qjobs(front: Front, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stack.cli", *words],
        env=environment(home, ENVOY_ADMIN_PORT=front.admin),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def ask(connection: http.client.HTTPConnection, front: Front, path: str) -> http.client.HTTPResponse:
    connection.request("GET", path, headers=dict(front.headers))
    answer = connection.getresponse()
    answer.read()
    return answer


def test_a_drained_envoy_answers_on_counts_as_not_ready_and_ends_each_connection_after_an_answer(
    own_front: Front, tmp_path: Path
) -> None:
    job_id = own_front.enqueue()
    watching = own_front.send("GET", f"email:send/jobs/{job_id}/events")
    events = watching.getresponse()
    assert b"data:" in events.readline()
    kept = http.client.HTTPConnection(LOOPBACK, own_front.rest, timeout=10)
    assert ask(kept, own_front, READY_PATH).status == 200
    assert ask(kept, own_front, "/api/v1/queue/stats").getheader("connection") is None
    assert qjobs(own_front, tmp_path, "healthcheck", "envoy").returncode == 0

    drained = qjobs(own_front, tmp_path, "envoy", "--drain")
    assert (drained.returncode, drained.stdout, drained.stderr) == (0, "", "")

    last = ask(kept, own_front, "/api/v1/queue/stats")
    assert (last.status, last.getheader("connection")) == (200, "close")
    assert own_front.call("GET", "stats").status == 200
    assert own_front.call("GET", READY_PATH, authorization=None).status == 503
    unready = qjobs(own_front, tmp_path, "healthcheck", "envoy")
    assert unready.returncode == 1
    assert "DRAINING" in unready.stderr
    assert own_front.call("POST", f"email:send/jobs/{job_id}/cancel", {}).status == 200
    heard: list[bytes] = []
    while not heard or b"CANCELLED" not in heard[-1]:
        heard.append(events.readline())
        assert heard[-1], f"the stream was cut off; it had said {heard}"
    watching.close()
    kept.close()


def test_probes_are_answered_without_a_token_and_are_not_logged(own_front: Front, tmp_path: Path) -> None:
    assert own_front.call("GET", READY_PATH, authorization=None).status == 200
    assert own_front.call("GET", "stats").status == 200
    log = tmp_path / "envoy" / "logs" / "envoy.log"
    logged = until(lambda: text if "/stats" in (text := log.read_text()) else "", what="the call is in the log")
    assert READY_PATH not in logged


def test_draining_without_an_envoy_says_what_to_look_at(own_front: Front, tmp_path: Path) -> None:
    nobody = Front(rest=own_front.rest, grpc=own_front.grpc, admin=own_front.grpc)
    answer = qjobs(nobody, tmp_path, "envoy", "--drain")
    assert answer.returncode == 2
    assert "ENVOY_ADMIN_PORT" in answer.stderr
    assert "Traceback" not in answer.stderr
