"""Server-sent events, native gRPC and gRPC-web through the one listener, and front ends from elsewhere."""

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.overview_pb2 import CheckEmailHealthRequest
from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest, GetQueueStatsResponse

from stack.ports import LOOPBACK
from tests.gateway.front import Front, running_envoy, token


def events(response: http.client.HTTPResponse) -> list[dict[str, Any]]:
    """All events to the end of the stream."""
    lines = response.read().decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line]


def test_a_job_is_watched_to_its_end(front: Front) -> None:
    job_id = front.enqueue(delay=60_000)
    connection = front.send("GET", f"email:send/jobs/{job_id}/events")
    response = connection.getresponse()
    assert response.getheader("content-type") == "text/event-stream"
    first = json.loads(response.readline().decode().removeprefix("data: "))
    assert first["snapshot"]["job"]["id"] == job_id
    assert first["snapshot"]["job"]["state"] == "JOB_STATE_DELAYED"
    threading.Timer(0.1, front.call, ("POST", f"email:send/jobs/{job_id}/cancel")).start()
    last = events(response)[-1]
    connection.close()
    assert last["end"]["state"] == "JOB_STATE_CANCELLED"
    assert last["end"]["job"]["id"] == job_id
    assert last["sequence"] != first["sequence"]


def test_an_ended_job_answers_its_end_at_once(front: Front) -> None:
    job_id = front.enqueue(delay=60_000)
    front.call("POST", f"email:send/jobs/{job_id}/cancel")
    answer = front.call("GET", f"email:send/jobs/{job_id}/events")
    assert answer.text.startswith("data: {")
    assert '"JOB_STATE_CANCELLED"' in answer.text


def test_an_unknown_job_is_404_before_any_event(front: Front) -> None:
    answer = front.call("GET", "email:send/jobs/none/events")
    assert (answer.status, answer.reason) == (404, "JOB_NOT_FOUND")


def test_a_wait_for_a_job_lasts_and_ends_with_it(front: Front) -> None:
    job_id = front.enqueue(delay=60_000)
    threading.Timer(0.3, front.call, ("POST", f"email:send/jobs/{job_id}/cancel")).start()
    answer = front.call("GET", f"email:send/jobs/{job_id}?waitSeconds=15")
    assert answer.json["data"]["state"] == "JOB_STATE_CANCELLED"


@pytest.fixture
def channel(front: Front) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"{LOOPBACK}:{front.rest}") as opened:
        yield opened


def test_grpc_goes_through_untouched(channel: grpc.Channel) -> None:
    metadata = (("authorization", f"Bearer {token()}"),)
    stub = JobServiceStub(channel)
    assert (
        stub.GetQueueStats(GetQueueStatsRequest(queue_name="email:send"), metadata=metadata).stats.queue_name
        == "email:send"
    )
    unhealthy = stub.CheckEmailHealth(CheckEmailHealthRequest(), metadata=metadata)
    assert unhealthy.status == "unhealthy"  # a 503 over REST, and no error here
    with pytest.raises(grpc.RpcError) as refusal:
        stub.GetQueueStats(GetQueueStatsRequest(queue_name="email:send"))
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_health_and_reflection_go_through(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    names = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert "qcollector.jobs.v1.JobService" in names


def test_grpc_web_is_answered(front: Front) -> None:
    message = GetQueueStatsRequest(queue_name="email:send").SerializeToString()
    frame = b"\x00" + len(message).to_bytes(4, "big") + message
    connection = front.send(
        "POST",
        "/qcollector.jobs.v1.JobService/GetQueueStats",
        base64.b64encode(frame).decode(),
        content_type="application/grpc-web-text",
        accept="application/grpc-web-text",
    )
    response = connection.getresponse()
    body = base64.b64decode(response.read()[:4096].split(b"=", 1)[0] + b"==")
    connection.close()
    assert response.status == 200
    size = int.from_bytes(body[1:5], "big")
    assert GetQueueStatsResponse.FromString(body[5 : 5 + size]).stats.queue_name == "email:send"


def test_front_ends_from_the_named_origins_alone_may_call(front: Front, home: Path) -> None:
    with running_envoy(home / "cors", front.grpc, CORS_ORIGIN="https://app.example, https://two.example") as open_to:
        asked = {"access_control_request_method": "POST", "access_control_request_headers": "authorization"}
        allowed = open_to.call("OPTIONS", "jobs", origin="https://two.example", authorization=None, **asked)
        assert allowed.status == 200
        assert allowed.headers["access-control-allow-origin"] == "https://two.example"
        assert "authorization" in allowed.headers["access-control-allow-headers"]
        assert open_to.call("GET", "stats", origin="https://app.example").headers["access-control-allow-origin"]
        stranger = open_to.call("GET", "stats", origin="https://evil.example")
        assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-origin" not in front.call("GET", "stats", origin="https://app.example").headers
