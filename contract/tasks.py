"""Tasks: calls that enqueue one job each, as the option `task` of a method declares them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1 import options_pb2
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_pb2 import JobOptions

from contract.catalog import Catalog
from contract.declarations import CatalogError, JobType
from contract.fields import descriptor_of

_OWN: Final = {"options", "request_id"}
"""Fields of the request that are those of EnqueueJobRequest."""


@dataclass(frozen=True, slots=True)
class Task:
    """One such call."""

    method: MethodDescriptor
    job_type: JobType
    priority: int
    expire_field: str
    fields: tuple[tuple[FieldDescriptor, FieldDescriptor], ...]
    """The request's fields, each with the payload's that takes its value."""

    @property
    def response(self) -> type[Message]:
        return GetMessageClass(self.method.output_type)

    def enqueue_request(self, request: Any, catalog: Catalog) -> EnqueueJobRequest:
        """The EnqueueJobRequest that says the same."""
        payload: Any = self.job_type.payload()
        for asked, field in self.fields:
            value = getattr(request, asked.name)
            if asked.is_repeated:
                getattr(payload, field.name).MergeFrom(value)
            elif asked.message_type is None:
                setattr(payload, field.name, value)
            elif request.HasField(asked.name):
                getattr(payload, field.name).CopyFrom(value)
        options = JobOptions()
        options.CopyFrom(request.options)
        options.priority = options.priority or self.priority
        if self.expire_field and request.HasField(self.expire_field) and not options.HasField("expire_at"):
            options.expire_at.CopyFrom(getattr(request, self.expire_field))
        wrapped = catalog.wrap_payload(self.job_type, payload)
        return EnqueueJobRequest(payload=wrapped, options=options, request_id=request.request_id)

    def field_asked(self, path: str) -> str:
        """The request's name of a field that an error names below the payload: `options.width` may be `image.width` there."""
        for asked, field in self.fields:
            if path == field.json_name or path.startswith((f"{field.json_name}.", f"{field.json_name}[")):
                return asked.json_name + path[len(field.json_name) :]
        return path


def is_task(method: MethodDescriptor) -> bool:
    """Whether the contract says that the call enqueues one job."""
    return bool(method.GetOptions().HasExtension(options_pb2.task))


def tasks_of(service: ServiceDescriptor, catalog: Catalog) -> dict[str, Task]:
    """The tasks of a service, by the method's name; without those whose job type the catalog lacks.

    Raises:
      CatalogError: names each method whose job type does not exist, or whose request does not fit it.
    """
    found: dict[str, Task] = {}
    problems: list[str] = []
    for method in service.methods:
        declared = method.GetOptions().Extensions[options_pb2.task]
        if (job_type := catalog.types.get(declared.job_type)) is None:
            queue, _, word = declared.job_type.rpartition("/")
            if is_task(method) and queue in catalog.queues:  # otherwise its family is not here
                problems.append(f"{method.full_name}: queue {queue} has no job type {word!r}; correct `job_type`")
            continue
        pairs = dict(_pairs(method.input_type, descriptor_of(job_type.payload)))
        problems += [
            f"{method.full_name}: {job_type.payload.DESCRIPTOR.name} has no field for {name!r}; give both the same name"
            for name in _asked(method.input_type)
            if name not in {asked.name for asked in pairs} and name != declared.expire_field
        ]
        if declared.expire_field and not _is_time(method.input_type, declared.expire_field):
            problems.append(
                f"{method.full_name}: {declared.expire_field!r} is not a Timestamp of its request; correct it"
            )
        found[method.name] = Task(method, job_type, declared.priority, declared.expire_field, tuple(pairs.items()))
    if problems:
        raise CatalogError(problems)
    return found


def _is_time(request: Descriptor, name: str) -> bool:
    field = request.fields_by_name.get(name)
    return field is not None and field.message_type is Timestamp.DESCRIPTOR


def _asked(request: Descriptor) -> list[str]:
    return [field.name for field in request.fields if field.name not in _OWN]


def _pairs(request: Descriptor, payload: Descriptor) -> Iterator[tuple[FieldDescriptor, FieldDescriptor]]:
    for name in _asked(request):
        asked = request.fields_by_name[name]
        same = payload.fields_by_name.get(name)
        alike = [field for field in payload.fields if field.message_type and field.message_type is asked.message_type]
        if same is not None and _fit(asked, same):
            yield asked, same
        elif len(alike) == 1 and _fit(asked, alike[0]):
            yield asked, alike[0]


def _fit(asked: FieldDescriptor, field: FieldDescriptor) -> bool:
    return (
        (asked.type, asked.is_repeated) == (field.type, field.is_repeated)
        and asked.message_type is field.message_type
        and asked.enum_type is field.enum_type
    )
