"""Whatever is wrong with a request, the answer is the right status and JSON of one shape."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.ports import LOOPBACK
from stack.tokens import sign
from tests.gateway.front import SECRET, Answer, Front, running_envoy, token

WELCOME = {"queueName": "email:send", "jobType": "welcome", "data": {"user": {"email": "user@example.com"}}}


def refused(answer: Answer, status: int, code: int, reason: str = "") -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer.text
    assert set(answer.json) == {"code", "message", "details"}
    assert answer.json["message"]
    if reason:
        assert answer.reason == reason, answer.text


def test_no_token_is_401(front: Front) -> None:
    refused(front.call("GET", "stats", authorization=None), 401, 16, "TOKEN_MISSING")


@pytest.mark.parametrize("value", ["Bearer nonsense", "Bearer ", "Basic dTpw", f"Bearer {'x' * 9000}"])
def test_a_bad_token_is_401(front: Front, value: str) -> None:
    refused(front.call("GET", "stats", authorization=value), 401, 16)


def test_an_expired_token_is_401(front: Front) -> None:
    old = sign(SECRET, subject="tester", role="admin", name="", seconds=-10)
    refused(front.call("GET", "stats", authorization=f"Bearer {old}"), 401, 16, "TOKEN_EXPIRED")


def test_a_role_that_may_not_is_403(front: Front) -> None:
    user = f"Bearer {token('user')}"
    refused(front.call("POST", "email:send/pause", authorization=user), 403, 7, "ROLE_INSUFFICIENT")
    refused(front.call("POST", "jobs", WELCOME, authorization=user), 403, 7, "ROLE_INSUFFICIENT")


def test_an_unknown_queue_or_job_and_somebody_elses_are_404(front: Front) -> None:
    refused(front.call("GET", "no:such/stats"), 404, 5, "QUEUE_UNKNOWN")
    refused(front.call("GET", "email:send/jobs/none"), 404, 5, "JOB_NOT_FOUND")
    job_id, other = front.enqueue(), f"Bearer {token('user', 'somebody')}"
    refused(front.call("GET", f"email:send/jobs/{job_id}", authorization=other), 404, 5, "JOB_NOT_FOUND")


def test_a_state_that_does_not_admit_it_is_409(front: Front) -> None:
    job_id = front.enqueue()
    refused(front.call("POST", f"email:send/jobs/{job_id}/promote"), 409, 9, "JOB_STATE_CONFLICT")


def test_a_service_that_is_set_up_otherwise_is_503_and_does_not_invite_to_try_again(front: Front) -> None:
    statistics = {"queueName": "analytics:calculate", "jobType": "form-stats", "data": {"formId": "7"}}
    answer = front.call("POST", "jobs", statistics)  # there is no database
    refused(answer, 503, 9, "DATABASE_UNFIT")
    assert "retry-after" not in answer.headers


def test_an_id_that_is_taken_is_409_and_the_same_call_again_a_duplicate(front: Front) -> None:
    options = {"jobId": f"once-{time.time_ns()}"}
    first = front.call("POST", "jobs", WELCOME | {"options": options})
    assert first.json["duplicate"] is False
    assert front.call("POST", "jobs", WELCOME | {"options": options}).json["duplicate"] is True
    other = WELCOME | {"options": options, "data": {"user": {"email": "other@example.com"}}}
    refused(front.call("POST", "jobs", other), 409, 6, "JOB_ID_CONFLICT")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data": {"user": {"email": "user@example.com", "age": 5}}}, "data.user.age"),
        ({"data": {"user": {"email": 7}}}, "data.user.email"),
        ({"data": {"user": {}}}, "data.user.email"),
        ({"options": {"delay": -1}}, "options.delay"),
        ({"options": {"delay": "soon"}}, "delay"),
        ({"options": {"backoff": {"type": "sometimes"}}}, "options.backoff.type"),
        ({"jobType": "no-such"}, "no-such"),
    ],
)
def test_a_field_that_breaks_a_rule_is_400_and_named(front: Front, change: dict[str, object], named: str) -> None:
    answer = front.call("POST", "jobs", WELCOME | change)
    refused(answer, 400, 3)
    assert named in answer.text


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "jobs", WELCOME | {"optoins": {"delay": 60_000}}, "optoins"),
        ("POST", "jobs", WELCOME | {"options": {"dealy": 60_000}}, "options.dealy"),
        ("POST", "jobs:batch", {"jobs": [WELCOME, WELCOME | {"options": {"dealy": 1}}]}, "jobs[1].options.dealy"),
        ("POST", "jobs", {"payload": {"emailWelcome": {"user": {"emial": "x"}}}}, "payload.emailWelcome.user.emial"),
        ("POST", "email:send/jobs:cancel", {"filter": {"state": ["JOB_STATE_FAILED"]}}, "filter.state"),
        ("POST", "email:send/jobs:cancel", {"filter": {}, "dryRun": True}, "dryRun"),
        ("PATCH", "email:batch", {"maxactive": 1}, "maxactive"),
        ("POST", "/api/v1/schedules", {"name": "x", "cron": "0 3 * * *", "job": {"queue": "email:send"}}, "job.queue"),
    ],
)
def test_a_field_that_no_call_knows_is_400_and_named_with_those_there_are(
    front: Front, method: str, path: str, body: dict[str, object], named: str
) -> None:
    kept = front.enqueue()
    answer = front.call(method, path, body)
    refused(answer, 400, 3, "REQUEST_INVALID")
    assert f"{named}: there is no such field; there are " in answer.json["message"]
    assert front.call("GET", f"email:send/jobs/{kept}").json["data"]["state"] == "JOB_STATE_WAITING"


@pytest.mark.parametrize(
    "kind",
    [
        *("application/grpcx", "application/grpc-x", "application/grpc;charset=utf-8", "application/grpc-web+json"),
        *("text/plain", "", None),
    ],
)
def test_no_content_type_keeps_a_body_from_being_checked(front: Front, kind: str | None) -> None:
    kept = front.enqueue()
    answer = front.call("POST", "email:send/jobs:cancel", {"jobIds": [kept], "dryRun": True}, content_type=kind)
    refused(answer, 400, 3, "REQUEST_INVALID")
    assert "dryRun: there is no such field" in answer.json["message"]


@pytest.mark.parametrize(
    "verb", ["/:cancel", "/:cancel/", ":cancel:", "/:delete", "%3Acancel", "/cancel:", ":cancel;x"]
)
def test_no_way_of_writing_a_path_keeps_a_body_from_being_checked(front: Front, verb: str) -> None:
    kept = front.enqueue()
    refused(front.call("POST", f"email:send/jobs{verb}", {"jobIds": [kept], "dryRun": True}), 404, 5)
    assert front.call("GET", f"email:send/jobs/{kept}").json["data"]["state"] == "JOB_STATE_WAITING"


def test_what_a_job_is_made_of_is_not_the_gateways_to_judge(front: Front) -> None:
    data = {"user": {"email": 'a@b.cd", "options": {"x": 1', "fooled": [{"by": '\\"{["'}]}}
    answer = front.call("POST", "jobs", WELCOME | {"data": data, "options": {"job_id": f"odd-{time.time_ns()}"}})
    refused(answer, 400, 3)
    assert "data.user.fooled" in answer.text


@pytest.mark.parametrize(
    "body",
    [
        *(
            "{",
            "[]",
            '"text"',
            '{"queueName":7}',
            "<xml/>",
            '{"queueName":"\ud800"}',
            "{}",
            "null",
            "[[[[",
            b"\xff\xfe",
        ),
        *(
            '{"data":' * 100_000,
            "[" * 100_000,
            '{"data":' + '{"a":' * 60 + "1" + "}" * 61,
            '{"options":{"delay":1e400}}',
        ),
        *('{"data":{"a":1,"a":2}}', "\ufeff{}", "{}{}", '{"options":{"delay":NaN}}', "{}".encode("utf-16"), '"\\'),
    ],
    ids=lambda body: str(body[:16]),
)
def test_a_body_that_is_no_such_message_is_400(front: Front, body: str | bytes) -> None:
    raw = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    refused(front.call("POST", "jobs", raw, content_type="application/json"), 400, 3)


def test_another_content_type_is_read_as_json_or_400(front: Front) -> None:
    refused(front.call("POST", "jobs", b"a=1&b=2", content_type="application/x-www-form-urlencoded"), 400, 3)
    refused(front.call("POST", "jobs", b"\x00\x01", content_type="application/octet-stream"), 400, 3)


def test_a_body_beyond_the_limit_is_413_whether_its_length_is_told_or_not(front: Front) -> None:
    large = b'{"queueName":"' + b"x" * (11 * 1024 * 1024) + b'"}'
    refused(front.call("POST", "jobs", large, content_type="application/json"), 413, 3, "PAYLOAD_TOO_LARGE")
    refused(
        front.call("POST", "jobs", little_by_little(large), content_type="application/json"),
        413,
        3,
        "PAYLOAD_TOO_LARGE",
    )


def little_by_little(body: bytes) -> Iterator[bytes]:
    """So that each part can be read before the next one comes; its length is not told.

    The answer is the same however long the pauses are: they only make a fault likelier to show.
    """
    for start in range(0, len(body), 512 * 1024):
        yield body[start : start + 512 * 1024]
        time.sleep(0.005)


def test_a_body_that_grows_too_large_when_it_is_transcoded_is_413_too(front: Front) -> None:
    body = b'{"queueName":"test:work","jobType":"noop","data":{"pad":[' + b"1," * 4_500_000 + b"1]}}"
    refused(front.call("POST", "jobs", body, content_type="application/json"), 413, 3, "PAYLOAD_TOO_LARGE")


def test_a_payload_beyond_its_own_limit_is_400_and_says_the_limit(front: Front) -> None:
    # Within Envoy's limit, and far above gRPC's default of 4 MB.
    body = {"queueName": "test:work", "jobType": "noop", "data": {"pad": "x" * 1_900_000}}
    answer = front.call("POST", "jobs", body)
    refused(answer, 400, 3, "PAYLOAD_TOO_LARGE")
    assert "1000000" in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/api/v1/queue/../../etc/passwd"),
        ("GET", "/api/v1/queue/email:send/jobs/.."),
        ("PUT", "/api/v1/queue/jobs"),
        ("OPTIONS", "/api/v1/queue/jobs"),
        ("POST", "/api/v1/queue/email:send/stats"),
        ("POST", "/qcollector.jobs.v1.JobService/GetQueueStats"),
    ],
)
def test_a_path_or_method_that_there_is_not_is_404(front: Front, method: str, path: str) -> None:
    refused(front.call(method, path), 404, 5)


def test_a_head_request_gets_a_status_and_no_body(front: Front) -> None:
    answer = front.call("HEAD", "stats")
    assert (answer.status, answer.text) == (404, "")


@pytest.mark.parametrize(
    "name", ["a%00b", "%ff", "%ed%a0%80", "a%2Fb", "..%2f", "%2e%2e%2Fstats", "a%5cb", "%c0%ae%c0%ae", "x" * 300]
)
def test_a_name_that_can_be_none_is_400(front: Front, name: str) -> None:
    refused(front.call("GET", f"email:send/jobs/{name}"), 400, 3)


def test_a_name_in_any_script_is_looked_up(front: Front) -> None:
    refused(front.call("GET", "email:send/jobs/%c3%a4%f0%9f%98%80"), 404, 5, "JOB_NOT_FOUND")


@pytest.mark.parametrize(
    "query",
    [
        *("nothing=1", "pageSize=x", "pageSize=-1", "states=SLEEPING", "text=%ff", "pageToken=x", "pageSize="),
        *("filter.x=1", "__proto__=1", "a[b]=c", "createdAfter=yesterday", "pageSize=99999999999999999999"),
    ],
)
def test_a_parameter_that_is_wrong_is_400(front: Front, query: str) -> None:
    refused(front.call("GET", f"email:send/jobs?{query}"), 400, 3)


def test_a_path_or_headers_beyond_measure_are_refused(front: Front) -> None:
    refused(front.call("GET", f"email:send/jobs/{'x' * 70_000}"), 431, 3)
    refused(front.call("GET", "stats", x_big="x" * 70_000), 431, 3)
    refused(front.call("GET", "stats", **{f"x_{number}": "" for number in range(150)}), 431, 3)


def test_what_is_no_http_at_all_is_refused(front: Front) -> None:
    with socket.create_connection((LOOPBACK, front.rest), timeout=5) as connection:
        connection.sendall(b"GARBAGE\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "Content-Length: -2\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_a_body_whose_end_is_uncertain_is_400_in_json(front: Front, framing: str) -> None:
    with socket.create_connection((LOOPBACK, front.rest), timeout=5) as connection:
        head = f"POST /api/v1/queue/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n"
        connection.sendall(f"{head}{framing}".encode())
        answer = connection.makefile("rb").read()  # it is hung up on
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == 3


def raw(front: Front, head: str) -> tuple[int, dict[str, Any]]:
    """The status and the JSON of what answers these lines, where the connection is closed after it."""
    with socket.create_connection((LOOPBACK, front.rest), timeout=5) as connection:
        connection.sendall(f"{head}\r\nAuthorization: Bearer {token()}\r\n\r\n".encode())
        told, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    return int(told.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("head", "status", "said"),
    [
        ("GET /api/v1/queue/stats HTTP/1.0", 426, "HTTP/1.1"),
        ("GET /api/v1/queue/stats HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket", 400, "upgrade"),
        ("POST /api/v1/queue/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked", 400, "transfer encoding"),
    ],
)
def test_what_of_http_is_not_spoken_here_is_the_callers_mistake_and_says_so(
    front: Front, head: str, status: int, said: str
) -> None:
    got, body = raw(front, head)
    assert (got, body["code"], body["details"][0]["reason"]) == (status, 3, "REQUEST_INVALID")
    assert said in body["message"]


def test_the_path_wins_over_a_body_that_names_another_queue(front: Front) -> None:
    answer = front.call("POST", "email:batch/resume", {"queueName": "email:send"})
    assert answer.json["queueName"] == "email:batch"


@pytest.mark.parametrize(
    "header", ["x+y", "x'y", "x-trace-bin", "grpc-timeout", "grpc-encoding", "grpc-message", "content-encoding"]
)
def test_headers_that_grpc_cannot_bear_do_not_get_in_the_way(front: Front, header: str) -> None:
    answer = front.call("POST", "email:batch/resume", {}, **{header: "zz"})
    assert answer.status == 200, answer.text


def test_more_requests_than_the_limit_are_429_and_say_when_to_come_back(front: Front, home: Path) -> None:
    with running_envoy(home / "limited", front.grpc, REST_RATE_LIMIT=2) as limited:
        answers = [limited.call("GET", "stats") for _ in range(8)]
    throttled = [answer for answer in answers if answer.status != 200]
    assert throttled
    refused(throttled[0], 429, 8, "RATE_LIMITED")
    assert throttled[0].headers["retry-after"] == "1"


def test_answers_carry_the_headers_that_keep_browsers_from_guessing(front: Front) -> None:
    for answer in (front.call("GET", "stats"), front.call("GET", "/nothing")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "content-security-policy" in answer.headers
        assert "grpc-status" not in answer.headers


def test_a_signed_link_needs_no_header_and_its_token_is_judged_by_the_service(front: Front) -> None:
    answer = front.call("GET", "export:data/jobs/any/result?downloadToken=forged", authorization=None)
    assert (answer.status, answer.reason) == (401, "TOKEN_INVALID")
    assert "open the whole link" in answer.json["message"]
    answer = front.call("GET", "export:data/jobs/any/result", authorization=None)
    assert (answer.status, answer.reason) == (401, "TOKEN_MISSING")
