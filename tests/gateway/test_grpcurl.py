"""What operators do with grpcurl: it knows the contract by reflection alone."""

import json
import os
import subprocess
import threading
from typing import Any

import pytest

from stack.ports import LOOPBACK
from tests.gateway.front import Front

pytestmark = pytest.mark.system

SERVICES = {"JobService", "ProcessorService", "ScheduleService", "AnalyticsService"}


def grpcurl(front: Front, *arguments: str, data: Any = None) -> str:
    """Its output. GRPCURL names the program."""
    header = f"authorization: {front.headers['authorization']}"
    call = [os.environ["GRPCURL"], "-plaintext", "-H", header, "-max-time", "30"]
    if data is not None:
        call += ["-d", json.dumps(data)]
    # Flags go before the address, verbs and symbols behind it.
    answer = subprocess.run(
        [*call, f"{LOOPBACK}:{front.grpc}", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_grpcurl_lists_the_services(front: Front) -> None:
    listed = grpcurl(front, "list").split()
    assert {f"qcollector.jobs.v1.{name}" for name in SERVICES} <= set(listed)
    assert "grpc.health.v1.Health" in listed


def test_grpcurl_describes_calls_and_payloads(front: Front) -> None:
    assert "rpc EnqueueJob ( .qcollector.jobs.v1.EnqueueJobRequest )" in grpcurl(
        front, "describe", "qcollector.jobs.v1.JobService"
    )
    assert "message EmailWelcome" in grpcurl(front, "describe", "qcollector.jobs.v1.EmailWelcome")


def test_grpcurl_enqueues_typed_payloads_and_data(front: Front) -> None:
    user = {"user": {"id": "1", "email": "user@example.com"}}
    for request in (
        {"payload": {"emailWelcome": user}, "options": {"delay": 60_000}},
        {"queueName": "email:send", "jobType": "welcome", "data": user, "options": {"delay": 60_000}},
    ):
        answer = json.loads(grpcurl(front, "qcollector.jobs.v1.JobService/EnqueueJob", data=request))
        assert (answer["queueName"], answer["state"]) == ("email:send", "JOB_STATE_DELAYED")


def test_grpcurl_watches_a_job_to_its_end(front: Front) -> None:
    job_id = front.enqueue(delay=60_000)
    threading.Timer(0.5, front.call, ("POST", f"email:send/jobs/{job_id}/cancel")).start()
    request = {"queueName": "email:send", "jobId": job_id}
    told = grpcurl(front, "qcollector.jobs.v1.JobService/WatchJob", data=request)
    decoder, at, events = json.JSONDecoder(), 0, []
    while at < len(told):
        event, at = decoder.raw_decode(told, at)
        events.append(event)
        at += len(told[at:]) - len(told[at:].lstrip())
    assert events[0]["snapshot"]["job"]["state"] == "JOB_STATE_DELAYED"
    assert events[-1]["end"]["state"] == "JOB_STATE_CANCELLED"
    assert events[-1]["end"]["job"]["id"] == job_id
