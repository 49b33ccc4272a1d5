"""What callers hold back from Envoy, or heap upon it, costs them their calls and nobody else."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest, StreamEnqueueJobsRequest
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub

from stack.ports import LOOPBACK
from tests.conftest import until
from tests.gateway.front import Front, running_envoy, token
from tests.gateway.held_bodies import held, many_held, memory

BATCH = "/api/v1/queue/jobs:batch"
BOUND = 384 * 1024 * 1024
GOOD = {"Authorization": f"Bearer {token()}"}


@pytest.fixture(scope="module")
def small(service: int, home: Path) -> Iterator[Front]:
    """An Envoy with little memory."""
    with running_envoy(home / "small", service, ENVOY_MEMORY_BYTES=BOUND) as started:
        yield started


@pytest.fixture(scope="module")
def hasty(service: int, home: Path) -> Iterator[Front]:
    """An Envoy that waits for nobody for more than a second."""
    told = {"REST_REQUEST_SECONDS": 1, "REST_IDLE_SECONDS": 1}
    with running_envoy(home / "hasty", service, **told) as started:
        yield started


def test_bodies_that_are_held_back_do_not_take_the_memory_and_good_callers_go_on(small: Front) -> None:
    with many_held(small, 150, BATCH, **GOOD) as requests:
        refused = [request for request in requests if request.is_over()]
        assert len(refused) > 100  # of 9.5 MB each: all would be 1,425 MB
        assert memory(small) < BOUND
        assert small.call("GET", "stats").status == 200
        assert small.call("POST", BATCH, {"jobs": []}).status == 400  # it is read
    assert_room_again(small)


def test_who_is_refused_for_want_of_memory_is_told_so_at_once_in_json(small: Front) -> None:
    with contextlib.ExitStack() as stack:
        requests = [stack.enter_context(held(small, BATCH, **GOOD)) for _ in range(60)]
        refused = [request for request in requests if request.is_over(seconds=0.1)]
        answer = refused[0].answer()
    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, 14, "2")
    assert "memory" in answer.json["message"]
    assert_room_again(small)


def assert_room_again(front: Front) -> None:
    """What callers held who have hung up is free for others."""
    large = {"jobs": [], "pad": "x" * 9_000_000}
    until(lambda: front.call("POST", BATCH, large).status == 400, seconds=20, what="large bodies are read again")


def test_a_request_that_does_not_arrive_in_time_is_408(hasty: Front) -> None:
    with held(hasty, BATCH, **GOOD) as request:
        answer = request.answer()
    assert (answer.status, answer.json["code"]) == (408, 4)
    assert "1 seconds" in answer.json["message"]


def test_a_body_that_trickles_in_is_408_as_well(hasty: Front) -> None:
    with held(hasty, BATCH, **GOOD) as request:
        end = time.monotonic() + 20
        while not request.is_over() and time.monotonic() < end:
            with contextlib.suppress(OSError):
                request.connection.send(b" ")
    assert time.monotonic() < end


def test_an_idle_connection_is_closed(hasty: Front) -> None:
    with socket.create_connection((LOOPBACK, hasty.rest), timeout=20) as silent:
        assert silent.recv(1) == b""
    with contextlib.closing(hasty.send("GET", "stats")) as connection:
        connection.getresponse().read()
        assert connection.sock.recv(1) == b""


def test_streams_and_waits_outlast_both_bounds(hasty: Front) -> None:
    job_id = hasty.enqueue(delay=60_000)
    watching = hasty.send("GET", f"email:send/jobs/{job_id}/events")
    events = watching.getresponse()
    assert json.loads(events.readline().decode().removeprefix("data: "))["snapshot"]["job"]["id"] == job_id
    waited = hasty.call("GET", f"email:send/jobs/{job_id}?waitSeconds=3")
    assert waited.json["data"]["state"] == "JOB_STATE_DELAYED"
    assert hasty.call("POST", f"email:send/jobs/{job_id}/cancel").status == 200
    assert "JOB_STATE_CANCELLED" in events.read().decode()
    watching.close()


def test_a_caller_who_streams_jobs_in_may_pause_for_longer(hasty: Front) -> None:
    ready = threading.Event()

    def requests() -> Iterator[StreamEnqueueJobsRequest]:
        ready.wait(2.5)
        yield StreamEnqueueJobsRequest(job=EnqueueJobRequest(queue_name="test:work", job_type="noop"))

    with grpc.insecure_channel(f"{LOOPBACK}:{hasty.rest}") as channel:
        metadata = [("authorization", f"Bearer {token()}")]
        answers = list(JobServiceStub(channel).StreamEnqueueJobs(requests(), metadata=metadata))
    assert len(answers) == 1
