"""Envoy verifies tokens by itself, before it holds anything of a body, and refuses none that the service takes."""

import base64
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from joserfc.jwk import ECKey, OctKey, RSAKey
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest

from stack.envoy_tokens import KEY_FILE
from stack.ports import LOOPBACK
from tests.conftest import until
from tests.gateway.front import SECRET, Front, running_envoy, running_service, token
from tests.gateway.held_bodies import configuration, heap, held, many_held, mode
from tests.service import conftest as service_tokens
from tests.service.test_auth import BAD_CLAIMS, EC, GOOD_CLAIMS, NO_TOKENS, RSA, Issuer, dated, key_set, now, signed

ENQUEUE = "/api/v1/queue/jobs"
RESULT = "/api/v1/queue/email:send/jobs/none/result"
FORGED = service_tokens.token(secret="another-secret-that-is-long-enough")
EXPIRED = service_tokens.token(secret=SECRET, exp=now(-60))
REFUSED = [
    ({}, "TOKEN_MISSING"),
    ({"Authorization": f"Bearer {FORGED}"}, "TOKEN_INVALID"),
    ({"Authorization": f"Bearer {EXPIRED}"}, "TOKEN_EXPIRED"),
]


def by_gateway(headers: Any) -> bool:
    """Whether Envoy has refused the token by itself; the service's refusals have no such header."""
    return "www-authenticate" in headers


@pytest.mark.parametrize(("headers", "reason"), REFUSED, ids=["absent", "forged", "expired"])
def test_a_bad_token_is_refused_before_the_body_ends(front: Front, headers: dict[str, str], reason: str) -> None:
    with held(front, ENQUEUE, **headers) as request:
        answer = request.answer()
    assert (answer.status, answer.json["code"], answer.reason) == (401, 16, reason)
    assert answer.json["message"]
    assert by_gateway(answer.headers)


@pytest.mark.parametrize(("headers", "reason"), REFUSED, ids=["absent", "forged", "expired"])
def test_nothing_is_held_for_callers_without_a_good_token(front: Front, headers: dict[str, str], reason: str) -> None:
    before = heap(front)
    with many_held(front, 60, ENQUEUE, **headers):
        assert heap(front) - before < 30_000_000, reason  # all of it would be 570 MB


@pytest.mark.parametrize("header", ["x-qjobs-token", "X-Qjobs-Token"])
def test_the_header_in_which_the_token_is_handed_on_is_no_other_way_in(front: Front, header: str) -> None:
    answer = front.call("GET", "stats", authorization=None, **{header: token()})
    assert (answer.status, answer.reason) == (401, "TOKEN_MISSING")


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}  ", "{}"])
def test_the_token_is_found_where_the_service_finds_it(front: Front, form: str) -> None:
    assert front.call("GET", "stats", authorization=form.format(token())).status == 200


@pytest.mark.parametrize("claims", [claims for claims, _ in GOOD_CLAIMS], ids=range(len(GOOD_CLAIMS)))
def test_a_token_that_the_service_takes_passes(front: Front, claims: dict[str, Any]) -> None:
    good = service_tokens.token(secret=SECRET, **dated(claims))
    assert front.call("GET", "stats", authorization=f"Bearer {good}").status == 200


@pytest.mark.parametrize("claims", [claims for claims, _ in BAD_CLAIMS], ids=range(len(BAD_CLAIMS)))
def test_a_token_with_bad_claims_is_401(front: Front, claims: dict[str, Any]) -> None:
    answer = front.call("GET", "stats", authorization=f"Bearer {service_tokens.token(secret=SECRET, **dated(claims))}")
    assert (answer.status, answer.json["code"]) == (401, 16)


@pytest.mark.parametrize("value", [value for value in NO_TOKENS if value.isascii()], ids=lambda value: str(len(value)))
def test_what_is_no_token_of_ours_is_refused_by_envoy(front: Front, value: str) -> None:
    answer = front.call("GET", "stats", authorization=value)
    assert (answer.status, answer.reason, by_gateway(answer.headers)) == (401, "TOKEN_INVALID", True)


def test_audience_and_issuer_are_held_to_by_envoy_too(front: Front, home: Path) -> None:
    told = {"JWT_AUDIENCE": "jobs", "JWT_ISSUER": "https://login"}
    with running_envoy(home / "narrow", front.grpc, **told) as narrow:
        for claims, good in (
            ({"aud": "jobs", "iss": "https://login"}, True),
            ({"aud": ["web", "jobs"], "iss": "https://login"}, True),
            ({"aud": "web", "iss": "https://login"}, False),
            ({"aud": "jobs", "iss": "x"}, False),
            ({"aud": "jobs"}, False),
            ({"iss": "https://login"}, False),
        ):
            answer = narrow.call("GET", "stats", authorization=service_tokens.token(secret=SECRET, **claims))
            assert answer.status == (200 if good else 401), answer.text
            assert good or (answer.json["code"], answer.reason) == (16, "TOKEN_INVALID")


# What needs no token


def test_probes_and_the_description_of_the_api_need_no_token(front: Front) -> None:
    assert front.call("GET", "/readyz", authorization=None).status == 200
    assert front.call("GET", "/api/openapi.json", authorization=None).status == 200
    assert front.call("GET", "/favicon.ico", authorization=None).status == 404


def test_a_preflight_request_needs_no_token(front: Front, home: Path) -> None:
    asked = {"authorization": None, "origin": "https://forms.example.com", "access_control_request_method": "POST"}
    with running_envoy(home / "cors", front.grpc, CORS_ORIGIN="https://forms.example.com") as cors:
        answer = cors.call("OPTIONS", "jobs", **asked)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://forms.example.com")
    assert front.call("OPTIONS", "jobs", **asked).status == 404


@pytest.mark.parametrize("parameter", ["downloadToken", "download_token"])
def test_a_signed_link_is_the_services_to_judge(front: Front, parameter: str) -> None:
    assert not by_gateway(front.call("GET", f"{RESULT}?{parameter}=x", authorization=None).headers)


@pytest.mark.parametrize(
    ("method", "path", "authorization"),
    [
        ("GET", f"{RESULT}?token=x", None),
        ("GET", RESULT, None),
        ("POST", f"{RESULT}?downloadToken=x", None),
        ("GET", f"{RESULT}?downloadToken=x", FORGED),
        ("GET", "/api/v1/queue/email:send/jobs/none?downloadToken=x", None),
        ("GET", "/api/v1/queue/email:send/jobs/a/b/result?downloadToken=x", None),
        ("GET", "/api/v1/queue/stats?x=/api/v1/queue/a/jobs/b/result&downloadToken=x", None),
        ("PATCH", "/api/openapi.json", None),
        ("POST", "/readyz/x", None),
        ("POST", "/", None),
    ],
)
def test_nothing_else_passes_as_a_signed_link(front: Front, method: str, path: str, authorization: str | None) -> None:
    answer = front.call(method, path, authorization=authorization)
    assert (answer.status, by_gateway(answer.headers)) == (401, True)


@pytest.mark.parametrize(
    "path", [f"{RESULT}?downloadToken=x", "/api/openapi.json", "/", "/grpc.health.v1.Health/Check"]
)
def test_nothing_is_held_either_where_no_token_is_needed(front: Front, path: str) -> None:
    before = heap(front)
    with many_held(front, 40, path, "GET"):
        # What has come of a body until the service answers lies in the connection's own buffer.
        until(lambda: heap(front) - before < 30_000_000)  # all of it would be 380 MB


def test_calls_over_grpc_are_refused_with_their_reason_too(front: Front) -> None:
    with grpc.insecure_channel(f"{LOOPBACK}:{front.rest}") as channel:
        stub, request = JobServiceStub(channel), GetQueueStatsRequest(queue_name="email:send")
        for headers, reason in REFUSED:
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetQueueStats(request, metadata=[(name.lower(), value) for name, value in headers.items()])
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            status = rpc_status.from_call(caught.value)
            info = ErrorInfo()
            assert status is not None
            assert status.details[0].Unpack(info)
            assert info.reason == reason
        health_stub: Any = health_pb2_grpc.HealthStub(channel)  # the package has no stubs
        health = health_stub.Check(health_pb2.HealthCheckRequest())
    assert health.status == health_pb2.HealthCheckResponse.SERVING


# Keys


def test_the_key_is_a_file_for_one_user_and_the_admin_port_does_not_show_it(front: Front, home: Path) -> None:
    path = home / "envoy" / "run" / KEY_FILE
    assert mode(path) == 0o600
    (key,) = json.loads(path.read_text())["keys"]
    assert OctKey.import_key(key).raw_value == SECRET.encode()
    shown = configuration(front)
    assert "jwt_authn" in shown
    for secret in (SECRET, base64.b64encode(SECRET.encode()).decode(), key["k"]):
        assert secret not in shown


@pytest.fixture(scope="module")
def file_keys(service: int, home: Path) -> Iterator[tuple[Front, Path]]:
    """A service and an Envoy that also take the keys of a file."""
    path = home / "public" / "keys.json"
    path.parent.mkdir()
    told = {"JWT_JWKS": key_set(path, EC, RSA), "REDIS_URL": "redis://127.0.0.1:1"}
    with (
        running_service(home / "public", **told) as (port, _),
        running_envoy(home / "public" / "envoy", port, **told) as front,
    ):
        yield front, path


def is_known(front: Front, value: str) -> bool:
    """Whether the token is taken; what becomes of the call then takes a store that is not there."""
    return front.call("GET", "job-types", authorization=f"Bearer {value}").status == 200


def test_public_keys_of_a_file_are_taken_beside_the_secret(file_keys: tuple[Front, Path]) -> None:
    front, _ = file_keys
    good = [signed(EC, "ES256", kid="ec"), signed(RSA, "RS256", kid="rsa"), signed(RSA, "RS256"), token()]
    for value in good:
        until(partial(is_known, front, value), seconds=10, what="the keys are known")
    other = ECKey.generate_key("P-256", {"kid": "ec"})
    for value in (signed(other, "ES256", kid="ec"), signed(EC, "ES256", kid="gone"), FORGED):
        answer = front.call("GET", "job-types", authorization=f"Bearer {value}")
        assert (answer.status, answer.reason, by_gateway(answer.headers)) == (401, "TOKEN_INVALID", True)
    answer = front.call("GET", "job-types", authorization=EXPIRED)
    assert (answer.status, answer.reason, by_gateway(answer.headers)) == (401, "TOKEN_EXPIRED", True)
    assert front.call("GET", "job-types", authorization=None).reason == "TOKEN_MISSING"


def test_a_key_that_comes_into_the_file_is_taken_without_a_restart(file_keys: tuple[Front, Path]) -> None:
    front, path = file_keys
    new = RSAKey.generate_key(2048, {"kid": "new"})
    draft = path.with_name("draft")
    key_set(draft, EC, new)
    draft.replace(path)
    value = signed(new, "RS256", kid="new")
    until(lambda: passes(front, value), seconds=20, what="the gateway takes the new key")


def passes(front: Front, value: str) -> bool:
    """Whether Envoy takes the token, whatever the service says of it."""
    return not by_gateway(front.call("GET", "job-types", authorization=f"Bearer {value}").headers)


def all_pass(front: Front, value: str) -> bool:
    """Whether it passes on both of Envoy's threads."""
    return all(passes(front, value) for _ in range(8))


def test_envoy_starts_without_the_issuer_and_takes_its_keys_old_and_new_once_it_is_there(
    front: Front, tmp_path: Path
) -> None:
    issuer = Issuer(tmp_path)
    told = {"JWT_JWKS": issuer.url, "SSL_CERT_FILE": str(issuer.certificate)}
    try:
        with running_envoy(tmp_path / "envoy", front.grpc, **told) as envoy:
            assert is_known(envoy, token())  # the secret needs no issuer
            away = envoy.call("GET", "job-types", authorization=signed(EC, "ES256", kid="ec"))
            assert (away.status, away.json["code"]) == (503, 14)
            for key in (EC, ECKey.generate_key("P-256", {"kid": "next"})):
                issuer.publish(key)
                value = signed(key, "ES256", kid=str(key.kid))
                until(partial(all_pass, envoy, value), seconds=90, what="the key is fetched")
    finally:
        issuer.close()
