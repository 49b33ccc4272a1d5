"""Schemathesis calls the running gateway by its description, with whatever the description admits and more."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import qcollector
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks

from stack.ports import LOOPBACK
from tests.conftest import ValkeyServer
from tests.gateway.front import Front, running_envoy, running_service

pytestmark = pytest.mark.system

API = Path(next(iter(qcollector.__path__))) / "openapi.json"
"""What the gateway serves at /api/openapi.json."""
PROMISED = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
ENDLESS = {"watchJob", "watchQueues"}
UNAVAILABLE = 503
NO_MAIL_SERVER = {"checkEmailHealth"}
"""It is unhealthy here, and says so by the status 503."""


@pytest.fixture(scope="module")
def front(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    home = tmp_path_factory.mktemp("described")
    store = {"REDIS_URL": valkey.url, "REDIS_KEY_PREFIX": f"described{os.getpid()}"}
    with running_service(home / "service", **store) as (port, _), running_envoy(home / "envoy", port) as started:
        yield started


described = schemathesis.openapi.from_path(API).exclude(operation_id=sorted(ENDLESS | NO_MAIL_SERVER))


@described.parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described_whatever_is_sent(case: schemathesis.Case, front: Front) -> None:
    answer = case.call(base_url=f"http://{LOOPBACK}:{front.rest}", headers=dict(front.headers), timeout=20)
    # No database is set here, which some payloads need: that is 503, and as promised.
    unfit = answer.status_code == UNAVAILABLE and "DATABASE_UNFIT" in answer.text
    promised = [check for check in PROMISED if not (unfit and check is checks.not_a_server_error)]
    case.validate_response(answer, checks=promised)


@described.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=2, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_is_answered_without_a_token(case: schemathesis.Case, front: Front) -> None:
    answer = case.call(base_url=f"http://{LOOPBACK}:{front.rest}", timeout=20)
    assert answer.status_code in {400, 401, 404}, answer.text
    if answer.status_code != 401:
        assert answer.json()["message"]  # refused by Envoy, before anybody is asked who calls
