"""What Envoy has to know of the contract: its descriptors, and how long each call may take or be repeated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.api.annotations_pb2 import http
from google.api.http_pb2 import HttpRule
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions
from google.rpc.error_details_pb2 import DESCRIPTOR as ERROR_DETAILS
from google.rpc.status_pb2 import DESCRIPTOR as STATUS
from qcollector._proto.descriptor_set import descriptor_set
from qcollector.jobs.v1 import job_service_pb2, processor_service_pb2, schedule_service_pb2

from base.settings import Settings
from contract.catalog import load_catalog, plugin_files

UNARY_SECONDS: Final = 110
"""How long any other call may take: below what a silent stream is allowed, so that it gets a proper answer."""
WAIT_SECONDS: Final = 330
"""How long a call may be silent that waits for a job: GetJob's most and a little."""
HEARD_SECONDS: Final = 120
"""How long a stream may be silent whose heartbeats come far more often."""
SENDER_SECONDS: Final = 3600
"""How long a caller who streams jobs in may pause."""
_REPEATABLE: Final = (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)


@dataclass(frozen=True)
class Call:
    """One call as Envoy routes it."""

    path: str
    silence: int
    """How many seconds it may be silent, of a call that may go on for long; 0 of any other."""
    answer: str
    """The one field, by its name in JSON, that a REST caller gets as the whole answer; empty for the whole message."""
    repeatable: bool
    """Whether doing it twice has the effect of doing it once, whatever is in it."""


def services(job_plugins: Sequence[str]) -> list[ServiceDescriptor]:
    """The platform's services, and those of the plugins.

    Raises:
      CatalogError: a plugin's contract cannot be loaded.
    """
    platform = (job_service_pb2.DESCRIPTOR, processor_service_pb2.DESCRIPTOR, schedule_service_pb2.DESCRIPTOR)
    files = (*platform, *plugin_files(job_plugins))
    return [service for file in files for service in file.services_by_name.values()]


def calls(served: Sequence[ServiceDescriptor]) -> Iterator[Call]:
    for service in served:
        for method in service.methods:
            yield Call(
                f"/{service.full_name}/{method.name}",
                _silence(method),
                _answer(method),
                not method.client_streaming and method.GetOptions().idempotency_level in _REPEATABLE,
            )


def _silence(method: MethodDescriptor) -> int:
    if method.client_streaming:
        return SENDER_SECONDS
    if method.server_streaming:
        return HEARD_SECONDS
    return WAIT_SECONDS if "wait_seconds" in method.input_type.fields_by_name else 0


def _answer(method: MethodDescriptor) -> str:
    field = http_rule(method.GetOptions()).response_body
    if not field or method.output_type is HttpBody.DESCRIPTOR:
        return ""
    name: str = method.output_type.fields_by_name[field].json_name
    return name


def descriptors(settings: Settings) -> bytes:
    """All messages that REST's callers may send and get, as a FileDescriptorSet.

    Raises:
      CatalogError: a job type's contract cannot be loaded.
    """
    types = load_catalog(settings.job_plugins).types.values()
    messages = [message for job_type in types for message in (job_type.payload, job_type.result)]
    served = services(settings.job_plugins)
    files: list[Any] = [thing.file for thing in (*served, *(message.DESCRIPTOR for message in messages))]
    # Without the messages that errors carry, Envoy leaves the body of an error empty.
    result = FileDescriptorSet.FromString(descriptor_set(*files, STATUS, ERROR_DETAILS))
    for file in result.file:
        for service in file.service:
            for method in service.method:  # Envoy refuses to start with it; gateway.lua does it instead
                http_rule(method.options).ClearField("response_body")
    return result.SerializeToString(deterministic=True)


def http_rule(options: MethodOptions) -> HttpRule:
    extension: Any = http  # its module has no stubs
    rule: HttpRule = options.Extensions[extension]
    return rule
