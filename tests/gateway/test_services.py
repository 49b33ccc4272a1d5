"""Two service processes behind one Envoy: what it repeats with the other one, and what it must not."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import qcollector
from qcollector.jobs.v1.job_queries_pb2 import WatchJobRequest
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.overview_pb2 import CheckEmailHealthRequest

from base.settings import PROJECT
from contract.fields import is_map
from stack.envoy_calls import calls, services
from stack.envoy_fields import REQUEST_ID
from stack.envoy_upstream import CALLS, CONNECTIONS
from stack.ports import LOOPBACK, free_port
from tests.conftest import ValkeyServer, listens, until
from tests.gateway.front import Answer, Front, environment, running_envoy, token
from tests.telemetry.exposed import scrape

EACH = 8
"""Calls that are sent at once: Envoy's two threads take turns with the processes, so that each process has some of them."""


@dataclass
class Pair:
    """Two service processes and the Envoy before them."""

    home: Path
    told: dict[str, str | int]
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    metrics: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    front: Front = field(init=False)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, place: int) -> subprocess.Popen[bytes]:
        told = environment(self.home, **self.told, GRPC_PORT=self.ports[place], METRICS_PORT=self.metrics[place])
        log = self.home / f"service-{place}.out"
        with log.open("ab") as output:
            command = [sys.executable, "-m", "stack.cli", "service"]
            return subprocess.Popen(command, env=told, cwd=PROJECT, stdout=output, stderr=output)

    def heal(self) -> None:
        """Both serve, and Envoy knows."""
        for place, process in enumerate(self.processes):
            if process.poll() is not None:
                self.processes[place] = self.start(place)
        until(self.are_well, seconds=100, what=lambda: f"both are well: {self.clusters()}")

    def are_well(self) -> bool:
        if not all(listens(port) for port in (*self.ports, *self.metrics)):
            return False
        places = [f"{name}::{LOOPBACK}:{port}" for name in (CALLS, CONNECTIONS) for port in self.ports]
        lines = self.clusters()
        return all(f"{place}::health_flags::healthy" in lines for place in places)

    def clusters(self) -> list[str]:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.front.admin}/clusters", timeout=5) as answer:
            lines: list[str] = answer.read().decode().splitlines()
        return lines

    def under_way(self) -> list[int]:
        """How many calls each process has from Envoy."""
        lines = self.clusters()
        places = [f"{CALLS}::{LOOPBACK}:{port}::rq_active::" for port in self.ports]
        return [int(line.removeprefix(place)) for place in places for line in lines if line.startswith(place)]

    def have(self, calls: int) -> bool:
        return sum(self.under_way()) == calls


@pytest.fixture(scope="module")
def mail_server() -> Iterator[int]:
    """The port of one that takes connections and says nothing."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def started(valkey: ValkeyServer, home: Path, mail_server: int) -> Iterator[Pair]:
    told: dict[str, str | int] = {"REDIS_URL": valkey.url, "REDIS_KEY_PREFIX": f"pair{os.getpid()}"}
    pair = Pair(home / "pair", told | {"SMTP_HOST": LOOPBACK, "SMTP_PORT": mail_server})
    pair.home.mkdir()
    pair.processes += [pair.start(0), pair.start(1)]
    try:
        with running_envoy(home / "before-pair", free_port(), behind=pair.ports) as pair.front:
            yield pair
    finally:
        for process in pair.processes:
            process.kill()
            process.wait()


@pytest.fixture
def pair(started: Pair) -> Pair:
    started.heal()
    return started


def enqueue(front: Front, **more: Any) -> Answer:
    body = {"queueName": "email:send", "jobType": "welcome", "data": {"user": {"email": "user@example.com"}}, **more}
    return front.call("POST", "jobs", body)


def with_an_id(front: Front) -> Answer:
    return enqueue(front, requestId=str(uuid.uuid4()))


def batch_with_ids(front: Front) -> Answer:
    return batch(front, {"requestId": str(uuid.uuid4())}, {"requestId": str(uuid.uuid4())})


def batch_without_one_id(front: Front) -> Answer:
    return batch(front, {"requestId": str(uuid.uuid4())}, {"requestId": ""})


def batch(front: Front, *more: dict[str, str]) -> Answer:
    job = {"queueName": "email:send", "jobType": "welcome", "data": {"user": {"email": "user@example.com"}}}
    return front.call("POST", "jobs:batch", {"jobs": [job | each for each in more]})


def look(front: Front) -> Answer:
    return front.call("GET", "email:send/stats")


def pause(front: Front) -> Answer:
    return front.call("POST", "email:send/pause", {})


def retry(front: Front) -> Answer:
    return front.call("POST", "email:send/jobs:retry", {"filter": {"jobType": "welcome"}})


SAFE = (look, pause, with_an_id, batch_with_ids)
UNSAFE = (enqueue, batch_without_one_id, retry)


@dataclass
class Sent:
    """Calls of one kind, some of which were with a process that was killed before it answered."""

    answers: list[Future[Answer]]
    with_the_dead: int

    @property
    def statuses(self) -> list[int]:
        return sorted(answer.result(30).status for answer in self.answers)


@pytest.fixture(scope="module")
def sent(started: Pair) -> dict[str, Sent]:
    started.heal()
    kinds = (*SAFE, *UNSAFE)
    sent: dict[str, Sent] = {}
    with ThreadPoolExecutor(EACH * len(kinds)) as threads:
        for process in started.processes:
            process.send_signal(signal.SIGSTOP)
        for number, call in enumerate(kinds, 1):
            before = started.under_way()[0]
            answers = [threads.submit(call, started.front) for _ in range(EACH)]
            until(partial(started.have, number * EACH), what="all are under way")
            sent[call.__name__] = Sent(answers, started.under_way()[0] - before)
        started.processes[1].send_signal(signal.SIGCONT)
        started.processes[0].kill()
    return sent


@pytest.mark.parametrize("name", [call.__name__ for call in SAFE])
def test_a_call_that_may_be_repeated_succeeds_though_the_process_that_has_it_dies(
    sent: dict[str, Sent], name: str
) -> None:
    assert sent[name].with_the_dead > 0
    assert sent[name].statuses == [200] * EACH


@pytest.mark.parametrize("name", [call.__name__ for call in UNSAFE])
def test_a_call_that_may_have_been_done_is_not_done_again_for_a_caller_who_did_not_say_so(
    sent: dict[str, Sent], name: str
) -> None:
    lost = sent[name].with_the_dead
    assert lost > 0
    assert sent[name].statuses == [200] * (EACH - lost) + [503] * lost


def test_a_process_that_stops_refuses_calls_and_the_other_one_takes_them_whatever_they_do(pair: Pair) -> None:
    """A call that lasts keeps it from ending: it refuses all others for seconds."""
    with grpc.insecure_channel(f"{LOOPBACK}:{pair.ports[0]}") as channel:
        stub: Any = JobServiceStub(channel)
        lasting = stub.CheckEmailHealth.future(
            CheckEmailHealthRequest(), metadata=(("authorization", f"Bearer {token()}"),)
        )
        page = "qjobs_grpc_calls_open"
        until(lambda: scrape(pair.metrics[0]).value(page, method="CheckEmailHealth") == 1, what="the call is under way")
        pair.processes[0].terminate()
        refusals = "qjobs_grpc_refusals_total"

        def refused() -> float:
            return scrape(pair.metrics[0]).value(refusals, reason="SHUTTING_DOWN")

        def taken_by_the_other() -> bool:
            answer = enqueue(pair.front)
            assert (answer.status, "x-call-elsewhere" in answer.headers) == (200, False), answer.text
            return refused() > 0

        until(taken_by_the_other, seconds=4, what="it was asked, and refused")
        assert pair.processes[0].poll() is None
        lasting.cancel()
    pair.processes[0].wait(15)
    for _ in range(20):
        assert enqueue(pair.front).status == 200, "nothing is sent to a process that is gone"


async def test_a_watch_over_grpc_ends_with_unavailable_when_its_process_dies(pair: Pair) -> None:
    job_id = await asyncio.to_thread(pair.front.enqueue)
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{pair.front.grpc}") as channel:
        stub: Any = JobServiceStub(channel)
        request = WatchJobRequest(queue_name="email:send", job_id=job_id)
        stream = stub.WatchJob(request, metadata=(("authorization", f"Bearer {token()}"),))
        assert (await stream.read()).HasField("snapshot")
        for process in pair.processes:
            process.kill()
        with pytest.raises(grpc.aio.AioRpcError) as broken:
            await stream.read()
        assert broken.value.code() is grpc.StatusCode.UNAVAILABLE


def test_what_is_repeated_is_what_grpcs_service_config_allows() -> None:
    """By itself, or where each of its requests has an id."""
    known = json.loads((Path(next(iter(qcollector.__path__))) / "service_config.json").read_text())
    allowed = {f"/{one['service']}/{one['method']}" for one in known["methodConfig"][0]["name"]}
    streams = {f"/{s.full_name}/{m.name}" for s in services(()) for m in s.methods if m.server_streaming}
    by_itself = {call.path for call in calls(services(())) if call.repeatable} - streams
    assert by_itself <= allowed
    with_ids = set()
    for service in services(()):
        for method in service.methods:
            below = [
                field.message_type for field in method.input_type.fields if field.is_repeated and not is_map(field)
            ]
            if any(REQUEST_ID in one.fields_by_name for one in (method.input_type, *below) if one is not None):
                with_ids.add(f"/{service.full_name}/{method.name}")
    assert (by_itself | with_ids) - streams == allowed
