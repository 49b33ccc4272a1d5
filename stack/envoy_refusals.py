"""What Envoy answers where it refuses a call by itself: the errors of the contract, over REST and over gRPC."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from base.settings import Settings
from service.auth import EXPIRED, FOREIGN, INVALID, MISSING
from service.status import DOMAIN
from stack.envoy_tokens import FAILURES, TOKEN_HEADER

_TYPE: Final = "type.googleapis.com/google.rpc."
_GRPC: Final = r"application/grpc(\+.*|-web(-text)?(\+proto)?)?"
"""The content types that envoy/protocol.lua takes for gRPC."""


@dataclass(frozen=True)
class Refusal:
    """Which of Envoy's own answers, by their HTTP status and `when`, become which error."""

    status: int
    code: StatusCode
    message: str
    reason: str = ""
    wait: int = 0
    """Seconds after which trying again may help."""
    violations: str = ""
    """Where Envoy finds the fields at fault: the command that stands for a list of google.rpc.BadRequest's violations."""
    when: tuple[dict[str, Any], ...] = ()
    becomes: int = 0
    """The HTTP status instead, if it is another."""

    @property
    def number(self) -> int:
        number: int = self.code.value[0]
        return number


def local_replies(settings: Settings) -> dict[str, Any]:
    """Envoy's `local_reply_config`."""
    mappers = [mapper for refusal in _refusals(settings) for mapper in (_over_grpc(refusal), _over_rest(refusal))]
    # Files that are served are local replies too, and stay as they are.
    others = {"comparison": {"op": "GE", "value": {"default_value": 400, "runtime_key": "refusal.other"}}}
    json = {"code": StatusCode.INTERNAL.value[0], "message": "%LOCAL_REPLY_BODY%", "details": []}
    mappers.append({"filter": {"status_code_filter": others}, "body_format_override": {"json_format": json}})
    return {"mappers": mappers}


def _refusals(settings: Settings) -> Iterator[Refusal]:
    """In the order in which Envoy tries them: the first that fits counts."""
    yield from _of_tokens()
    yield from _of_requests(settings)
    yield from _of_service()


def _of_requests(settings: Settings) -> Iterator[Refusal]:
    limit, rate = settings.rest_max_body_bytes, settings.rest_rate_limit
    yield Refusal(
        400,
        StatusCode.INVALID_ARGUMENT,
        "%LOCAL_REPLY_BODY%",
        "REQUEST_INVALID",
        violations="%DYNAMIC_METADATA(qjobs:violations)%",
        when=(_noted("qjobs", ["refused"], "fields"),),
    )
    yield Refusal(
        400, StatusCode.INVALID_ARGUMENT, "The request cannot be understood. %LOCAL_REPLY_BODY%", "REQUEST_INVALID"
    )
    yield Refusal(
        403,
        StatusCode.INVALID_ARGUMENT,
        "Connections cannot be upgraded here: send no header `upgrade`.",
        "REQUEST_INVALID",
        becomes=400,
    )
    yield Refusal(404, StatusCode.NOT_FOUND, "There is no such path, or it does not take this method.")
    yield Refusal(
        408,
        StatusCode.DEADLINE_EXCEEDED,
        f"The request took too long to arrive: it has {settings.rest_request_seconds:g} seconds.",
    )
    yield Refusal(
        413,
        StatusCode.INVALID_ARGUMENT,
        f"The body is larger than {limit} bytes, or becomes too large a message. Send less at once.",
        "PAYLOAD_TOO_LARGE",
    )
    yield Refusal(
        415,
        StatusCode.INVALID_ARGUMENT,
        "The body must be JSON: send content-type application/json.",
        "REQUEST_INVALID",
    )
    yield Refusal(
        426,
        StatusCode.INVALID_ARGUMENT,
        "This version of HTTP is not supported: use HTTP/1.1 or HTTP/2.",
        "REQUEST_INVALID",
    )
    yield Refusal(
        429,
        StatusCode.RESOURCE_EXHAUSTED,
        f"More than {rate} requests a second. Try again in a second.",
        "RATE_LIMITED",
        wait=1,
    )
    yield Refusal(
        501,
        StatusCode.INVALID_ARGUMENT,
        "The transfer encoding of the body is not supported: send the body as it is, or chunked.",
        "REQUEST_INVALID",
        becomes=400,
    )
    yield Refusal(431, StatusCode.INVALID_ARGUMENT, "The request's path and headers are too large.", "REQUEST_INVALID")


def _of_service() -> Iterator[Refusal]:
    yield Refusal(502, StatusCode.UNAVAILABLE, "The job service broke off its answer. Try again.", wait=2)
    for full in ({"response_flag_filter": {"flags": ["OM"]}}, _noted("qjobs", ["refused"], "memory")):
        message = "The gateway has as many requests as its memory holds. Try again in a few seconds."
        yield Refusal(503, StatusCode.UNAVAILABLE, message, wait=2, when=(full,))
    yield Refusal(503, StatusCode.UNAVAILABLE, "The job service cannot be reached. Try again in a few seconds.", wait=2)
    yield Refusal(504, StatusCode.DEADLINE_EXCEEDED, "The job service did not answer in time.")


def _of_tokens() -> Iterator[Refusal]:
    """In the words of the service, which says the same to whoever calls it without Envoy."""
    unauthenticated = StatusCode.UNAUTHENTICATED
    absent = {"header_filter": {"header": {"name": TOKEN_HEADER, "present_match": False}}}
    yield Refusal(401, unauthenticated, MISSING, "TOKEN_MISSING", when=(absent,))
    for key in FAILURES:
        yield Refusal(401, unauthenticated, EXPIRED, "TOKEN_EXPIRED", when=(_failed(key, "Jwt is expired"),))
        yield Refusal(
            401,
            StatusCode.UNAVAILABLE,
            "The keys of tokens cannot be fetched. Try again in a few seconds.",
            wait=2,
            when=(_failed(key, "Jwks remote fetch is failed"),),
            becomes=503,
        )
        foreign = (_failed(key, "Audiences in Jwt are not allowed"),)
        yield Refusal(403, unauthenticated, FOREIGN, "TOKEN_INVALID", when=foreign, becomes=401)
    yield Refusal(401, unauthenticated, INVALID, "TOKEN_INVALID")


def _failed(key: str, message: str) -> dict[str, Any]:
    """What the check under that kind of key has said."""
    return _noted("envoy.filters.http.jwt_authn", [key, "message"], message)


def _noted(by: str, path: list[str], value: str) -> dict[str, Any]:
    """What a filter has noted of the call."""
    matcher = {"filter": by, "path": [{"key": key} for key in path], "value": {"string_match": {"exact": value}}}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}


def _over_grpc(refusal: Refusal) -> dict[str, Any]:
    """Called over gRPC: over REST, the transcoder leaves the original path behind."""
    native: list[dict[str, Any]] = [
        {"header_filter": {"header": {"name": "content-type", "string_match": {"safe_regex": {"regex": _GRPC}}}}},
        {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": False}}},
    ]
    mapper = _mapper(refusal, native)
    if refusal.reason and "%" not in refusal.message:
        header = {"key": "grpc-status-details-bin", "value": base64.b64encode(_packed(refusal)).decode()}
        mapper.setdefault("headers_to_add", []).append(_header(header))
    mapper["body_format_override"] = {"text_format_source": {"inline_string": refusal.message}}
    return mapper


def _over_rest(refusal: Refusal) -> dict[str, Any]:
    details: list[dict[str, Any]] = []
    if refusal.reason:
        details.append({"@type": f"{_TYPE}ErrorInfo", "reason": refusal.reason, "domain": DOMAIN})
    if refusal.wait:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{refusal.wait}s"})
    if refusal.violations:
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": refusal.violations})
    json = {"code": refusal.number, "message": refusal.message, "details": details}
    return _mapper(refusal, []) | {"body_format_override": {"json_format": json}}


def _mapper(refusal: Refusal, more: list[dict[str, Any]]) -> dict[str, Any]:
    key = f"refusal.{refusal.status}"
    status = {"comparison": {"op": "EQ", "value": {"default_value": refusal.status, "runtime_key": key}}}
    filters = [{"status_code_filter": status}, *refusal.when, *more]
    mapper: dict[str, Any] = {"filter": filters[0] if len(filters) == 1 else {"and_filter": {"filters": filters}}}
    if refusal.becomes:
        mapper["status_code"] = refusal.becomes
    if refusal.wait:
        mapper["headers_to_add"] = [_header({"key": "retry-after", "value": str(refusal.wait)})]
    return mapper


def _header(header: dict[str, str]) -> dict[str, Any]:
    return {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": header}


def _packed(refusal: Refusal) -> bytes:
    details: list[Message] = [ErrorInfo(reason=refusal.reason, domain=DOMAIN)]
    if refusal.wait:
        details.append(RetryInfo(retry_delay=Duration(seconds=refusal.wait)))
    status = Status(code=refusal.number, message=refusal.message)
    for detail in details:
        part = Packed()
        part.Pack(detail)
        status.details.append(part)
    return status.SerializeToString(deterministic=True)
