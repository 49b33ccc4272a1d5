"""The description of the REST API says what the contract says."""

import json
from pathlib import Path
from typing import Any

import pytest
import qcollector
from google.api.annotations_pb2 import http
from openapi_spec_validator import validate
from qcollector.jobs.v1 import analytics_service_pb2, error_reason_pb2, job_service_pb2, schedule_service_pb2

SERVICES = [
    file.DESCRIPTOR.services_by_name[name]
    for file, name in (
        (job_service_pb2, "JobService"),
        (schedule_service_pb2, "ScheduleService"),
        (analytics_service_pb2, "AnalyticsService"),
    )
]


@pytest.fixture(scope="module")
def api() -> Any:
    return json.loads((Path(next(iter(qcollector.__path__))) / "openapi.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def schemas(api: Any) -> Any:
    return api["components"]["schemas"]


def operations(api: Any) -> dict[str, Any]:
    return {operation["operationId"]: operation for path in api["paths"].values() for operation in path.values()}


def parameters(operation: Any) -> dict[str, Any]:
    return {parameter["name"]: parameter for parameter in operation.get("parameters", ())}


def body(operation: Any) -> Any:
    return operation["requestBody"]["content"]["application/json"]["schema"]


def test_it_is_valid(api: Any) -> None:
    validate(api)


def test_it_has_every_method_that_the_contract_gives_a_path(api: Any) -> None:
    rules = {method.name: method.GetOptions().Extensions[http] for service in SERVICES for method in service.methods}
    declared = {name[0].lower() + name[1:] for name, rule in rules.items() if rule.WhichOneof("pattern")}
    assert set(operations(api)) == declared
    assert "post" in api["paths"]["/api/v1/queue/jobs:batch"]
    assert "delete" in api["paths"]["/api/v1/queue/{queueName}/jobs/{jobId}"]


def test_every_operation_parameter_and_field_is_explained(api: Any, schemas: Any) -> None:
    for name, operation in operations(api).items():
        assert operation["summary"], name
        assert "\n" not in operation["summary"], name
        assert not operation["summary"].endswith("."), name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (name, parameter)
    for name, schema in schemas.items():
        assert schema["description"], name
    assert "`waitSeconds`" in operations(api)["getJob"]["description"]


def test_the_contracts_rules_are_those_of_parameters(api: Any) -> None:
    listing = parameters(operations(api)["listJobs"])
    assert (listing["queueName"]["in"], listing["queueName"]["required"]) == ("path", True)
    assert listing["pageSize"]["schema"] == {"type": "integer", "format": "int32", "minimum": 0, "maximum": 2**31 - 1}
    assert listing["orderBy"]["schema"]["enum"] == [
        *("", "create_time", "create_time desc", "createTime", "createTime desc", "state")
    ]
    assert listing["states"]["schema"]["maxItems"] == 10
    assert listing["states"]["required"] is False
    assert listing["createdAfter"]["schema"] == {"type": "string", "format": "date-time"}


def test_the_contracts_rules_are_those_of_bodies(api: Any, schemas: Any) -> None:
    create = operations(api)["createSchedule"]
    assert create["requestBody"]["required"] is True
    schedule = schemas[body(create)["$ref"].rpartition("/")[2]]
    assert schedule["required"] == ["name", "cron", "job"]
    assert schedule["properties"]["name"]["pattern"] == "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
    options = schemas["JobOptionsInput"]
    assert (options["properties"]["priority"]["minimum"], options["properties"]["priority"]["maximum"]) == (-1000, 1000)
    assert "Set delay or runAt, not both." in options["description"]
    assert schemas["JobPayloadInput"]["maxProperties"] == 1


def test_what_stands_in_the_path_is_not_asked_for_again_in_the_body(api: Any) -> None:
    cancel = operations(api)["cancelJob"]
    assert set(parameters(cancel)) == {"queueName", "jobId"}
    assert set(body(cancel)["properties"]) == {"reason"}
    assert cancel["requestBody"]["required"] is False


def test_an_answer_has_every_plain_field_and_none_of_the_rules(schemas: Any) -> None:
    job = schemas["Job"]
    assert {"id", "queueName", "state", "progress", "failures"} <= set(job["required"])
    assert not {"startTime", "result"} & set(job["required"])
    assert "minimum" not in schemas["JobOptions"]["properties"]["delay"]
    assert set(schemas["GetJobResponse"]["properties"]) == {"data"}


def test_what_the_service_alone_sets_is_read_only(schemas: Any) -> None:
    def read_only(name: str) -> set[str]:
        return {field for field, schema in schemas[name]["properties"].items() if schema.get("readOnly")}

    assert {"createTime", "createdBy", "nextTimes", "error"} <= read_only("Schedule")
    assert {"state", "failures", "result"} <= read_only("Job")
    assert not {"cron", "etag"} & read_only("Schedule")


def test_secrets_are_only_ever_sent(schemas: Any) -> None:
    assert schemas["EmailPasswordResetInput"]["properties"]["resetToken"]["writeOnly"] is True
    assert "writeOnly" not in schemas["EmailPasswordReset"]["properties"]["resetToken"]


def test_streams_files_and_health_are_what_they_are_over_http(api: Any) -> None:
    answers = {name: operation["responses"] for name, operation in operations(api).items()}
    (stream,) = answers["watchJob"]["200"]["content"].items()
    assert stream[0] == "text/event-stream"
    assert stream[1]["schema"]["contentSchema"] == {"$ref": "#/components/schemas/WatchJobResponse"}
    assert list(answers["downloadResult"]["200"]["content"]) == ["*/*"]
    assert {name for name, responses in answers.items() if "503" in responses} == {"checkHealth", "checkEmailHealth"}
    stats = answers["getQueueStats"]["200"]["content"]["application/json"]["schema"]
    assert stats["$ref"] == "#/components/schemas/QueueStats"


def test_errors_name_every_reason(schemas: Any) -> None:
    names = error_reason_pb2.ErrorReason.keys()
    reasons = [name.removeprefix("ERROR_REASON_") for name in names if not name.endswith("_UNSPECIFIED")]
    assert schemas["ErrorInfo"]["properties"]["reason"]["enum"] == reasons
