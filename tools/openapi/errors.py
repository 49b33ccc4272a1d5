"""What every refusal looks like: google.rpc.Status as JSON, with the details that the service and Envoy attach."""

from typing import Final

from openapi.contract import Contract
from openapi.rules import Schema

REASONS: Final = "qcollector.jobs.v1.ErrorReason"
TYPE_URL: Final = "type.googleapis.com/google.rpc."


def components(contract: Contract) -> dict[str, Schema]:
    """The schemas of errors."""
    details = {"ErrorInfo": _error_info(contract), "BadRequest": _bad_request(), "RetryInfo": _retry_info()}
    status = {
        "type": "object",
        "description": "Why a call was refused.",
        "properties": {
            "code": {"type": "integer", "format": "int32", "description": "The gRPC status code."},
            "message": {"type": "string", "description": "Cause and remedy, for people."},
            "details": {
                "type": "array",
                "items": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in details]},
            },
        },
        "required": ["code", "message", "details"],
    }
    return {"Status": status, **details}


def _detail(name: str, description: str, properties: dict[str, Schema], required: list[str]) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": {"@type": {"type": "string", "const": f"{TYPE_URL}{name}"}, **properties},
        "required": ["@type", *required],
    }


def _error_info(contract: Contract) -> Schema:
    values = contract.enums[REASONS].value
    prefix = values[0].name.removesuffix("UNSPECIFIED")
    reasons = {value.name.removeprefix(prefix): contract.comment(REASONS, value.name) for value in values[1:]}
    properties = {
        "reason": {
            "type": "string",
            "enum": list(reasons),
            "description": "\n".join(f"- `{reason}`: {text}" for reason, text in reasons.items()),
        },
        "domain": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    return _detail("ErrorInfo", "The cause, for programs.", properties, ["reason", "domain"])


def _bad_request() -> Schema:
    violation = {
        "type": "object",
        "properties": {
            "field": {"type": "string", "description": "The field's path, such as data.user.email."},
            "description": {"type": "string", "description": "The rule, and what to do."},
            "reason": {"type": "string", "description": "The rule's name."},
        },
        "required": ["field", "description"],
    }
    properties = {"fieldViolations": {"type": "array", "items": violation}}
    return _detail("BadRequest", "Each field that is at fault.", properties, ["fieldViolations"])


def _retry_info() -> Schema:
    properties = {"retryDelay": {"type": "string", "description": 'How long to wait, such as "2s".'}}
    return _detail("RetryInfo", "When to try again.", properties, ["retryDelay"])
