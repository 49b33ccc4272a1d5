"""Answers are as the description of the API says, with no field that it does not know."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.gateway.front import Answer, Front, token

Call = Callable[..., Answer]
PREVIEW = {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}
MAIL = {"queueName": "email:send", "jobType": "welcome", "data": {"user": {"email": "user@example.com"}}}


@pytest.fixture(scope="module")
def api(front: Front) -> Any:
    return json.loads(front.call("GET", "/api/openapi.json").text)


@pytest.fixture
def call(front: Front, api: Any) -> Call:
    """Makes a call, and holds the answer against its description."""
    components = closed(api["components"])

    def make(method: str, path: str, sent: Any = None, **headers: str | None) -> Answer:
        path = path if path.startswith("/") else f"/api/v1/queue/{path}"
        answer = front.call(method, path, sent, **headers)
        responses = operation(api, method, path)["responses"]
        response = responses.get(str(answer.status), responses["default"])
        if reference := response.get("$ref"):
            response = components["responses"][reference.rpartition("/")[2]]
        schema = {**response["content"]["application/json"]["schema"], "components": components}
        Draft202012Validator(closed(schema)).validate(answer.json)
        return answer

    return make


def operation(api: Any, method: str, path: str) -> Any:
    """The description of a call. A path without variables comes before one with."""
    path = path.partition("?")[0]
    fitting = [
        name
        for name in api["paths"]
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", re.escape(name).replace(r"\{", "{").replace(r"\}", "}")), path)
    ]
    return api["paths"][min(fitting, key=lambda name: name.count("{"))][method.lower()]


def closed(schema: Any) -> Any:
    """The same schema, for which every object has only the fields that are described; but for messages of any type."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(part) for name, part in schema.items()}
    fields = schema.get("properties")
    if (
        schema.get("type") == "object"
        and "additionalProperties" not in schema
        and fields != {"@type": {"type": "string"}}
    ):
        inner["additionalProperties"] = False
    return inner


def test_jobs_from_enqueue_to_removal(call: Call) -> None:
    enqueued = call("POST", "jobs", MAIL | {"options": {"delay": 60_000, "priority": 3}}).json
    job = f"email:send/jobs/{enqueued['jobId']}"
    assert call("GET", job).json["data"]["payload"]["emailWelcome"]
    assert call("GET", "email:send/jobs?pageSize=3").json["jobs"]
    assert call("GET", "-/jobs?pageSize=3").json["jobs"]
    assert call("GET", f"{job}/logs").status == 200
    for step in ("promote", "cancel", "retry", "cancel"):
        assert call("POST", f"{job}/{step}", {}).status == 200
    assert call("DELETE", job).status == 200


def test_jobs_in_bulk(call: Call) -> None:
    batch = call("POST", "jobs:batch", {"jobs": [MAIL, {"queueName": "no:such"}]}).json["results"]
    assert batch[1]["error"]["details"]
    for action in ("cancel", "retry", "promote", "delete"):
        answer = call("POST", f"email:send/jobs:{action}", {"jobIds": [batch[0]["jobId"], "nobody"]})
        assert answer.status == 200


def test_queues_and_health(call: Call) -> None:
    for path in ("stats", "email:send/stats", "dashboard", "health", "workers", "job-types"):
        assert call("GET", path).status == 200
    assert call("GET", "email/health").status == 503
    for action in ("pause", "resume", "clean"):
        assert call("POST", f"email:batch/{action}", {}).status == 200
    assert call("PATCH", "email:send", {"rate": {"max": 5, "periodMs": 1000}}).status == 200
    assert call("PATCH", "email:send", {"rate": {"max": 0}}).status == 200


def test_schedules(call: Call) -> None:
    name = f"described-{time.time_ns()}"
    job = {"queueName": "email:send", "jobType": "welcome", "data": MAIL["data"]}
    path = f"/api/v1/schedules/{name}"
    assert call("POST", "/api/v1/schedules", {"name": name, **PREVIEW, "job": job}).status == 200
    assert call("GET", "/api/v1/schedules").json["schedules"]
    assert call("PATCH", path, {"description": "at night"}).status == 200
    for action in ("trigger", "pause", "resume"):
        assert call("POST", f"{path}/{action}", {}).status == 200
    assert call("GET", f"{path}/runs").json["runs"]
    assert call("GET", path).json["schedule"]["nextTimes"]
    assert call("POST", "/api/v1/schedules:preview", PREVIEW).json["times"]
    assert call("DELETE", path).status == 200


@pytest.mark.parametrize(
    ("status", "method", "path", "sent", "headers"),
    [
        (401, "GET", "stats", None, {"authorization": None}),
        (403, "POST", "email:send/pause", {}, {"authorization": f"Bearer {token('user')}"}),
        (404, "GET", "email:send/jobs/nobody", None, {}),
        (404, "GET", "/api/v1/schedules/nobody", None, {}),
        (404, "GET", "/api/v1/analytics/form-stats/nobody", None, {}),
        (400, "GET", "email:send/jobs?pageSize=-1", None, {}),
        (400, "GET", "email:send/jobs?page=1", None, {}),
        (400, "POST", "jobs", "{", {}),
        (400, "POST", "jobs", MAIL | {"data": {"user": {"mail": "x"}}}, {}),
    ],
)
def test_refusals(call: Call, status: int, method: str, path: str, sent: Any, headers: dict[str, str | None]) -> None:
    assert call(method, path, sent, **headers).status == status
