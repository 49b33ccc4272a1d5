"""What no type of the contract takes, whichever it is: a type that is added is held to it without a line here."""

import itertools
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.queue_requests_pb2 import ListQueueStatsRequest

from contract.catalog import JobType, load_catalog
from contract.fields import STORAGE_PATH, fields_within, has_mark, is_map

from .conftest import Running, refused

TYPES = sorted(load_catalog().types.values(), key=lambda each: each.key)
OUTSIDE = ("/etc/passwd", "../../../../etc/passwd", "uploads/../../../etc/passwd", "/proc/self/environ")

every_type = pytest.mark.parametrize("job_type", TYPES, ids=lambda each: each.key)


def request(job_type: JobType, data: dict[str, Any]) -> EnqueueJobRequest:
    body = {"queueName": job_type.queue, "jobType": job_type.type, "data": data}
    return ParseDict(body, EnqueueJobRequest())


def nested(path: list[FieldDescriptor], value: Any) -> dict[str, Any]:
    """Data in which that field, and what leads to it, is all that is set."""
    for field in reversed(path):
        value = {field.json_name: [value] if field.is_repeated and not isinstance(value, list) else value}
    found: dict[str, Any] = value
    return found


def texts(message: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[list[FieldDescriptor]]:
    """The way to every string of the message's own, two messages deep."""
    for field in message.fields:
        if is_map(field):
            continue
        if field.type == FieldDescriptor.TYPE_STRING:
            yield [*path, field]
        elif (
            field.message_type is not None and len(path) < 2 and field.message_type.file.package == message.file.package
        ):
            yield from texts(field.message_type, (*path, field))


@every_type
async def test_a_forged_field_is_refused_by_name(service: Running, job_type: JobType) -> None:
    for forged in ("createdBy", "attempts", "__proto__", "queueName"):
        refusal = await refused(service.admin.jobs.EnqueueJob(request(job_type, {forged: "root"})))
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert f"data.{forged}" in refusal.fields


@every_type
async def test_too_much_in_any_text_is_refused_and_nothing_is_stored(service: Running, job_type: JobType) -> None:
    sizes = itertools.chain([10_000_000], itertools.repeat(service.settings.queue_max_payload_bytes + 1))
    for path, size in zip(texts(job_type.payload.DESCRIPTOR), sizes, strict=False):
        refusal = await refused(service.admin.jobs.EnqueueJob(request(job_type, nested(path, "x" * size))))
        assert refusal.code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED), path[-1].name
        assert len(refusal.message) < 1000
    stats = await service.admin.jobs.ListQueueStats(ListQueueStatsRequest())
    assert all(queue.counts.waiting == 0 for queue in stats.queues)


@every_type
async def test_a_path_outside_the_storage_roots_is_refused_by_its_field(service: Running, job_type: JobType) -> None:
    # The mails of a batch are left for their turn, so that a bad one fails alone.
    held = set(fields_within(job_type.payload.DESCRIPTOR, checked=True))
    for path in texts(job_type.payload.DESCRIPTOR):
        if path[-1] not in held or not has_mark(STORAGE_PATH, path[-1]):
            continue
        for outside in OUTSIDE:
            refusal = await refused(service.admin.jobs.EnqueueJob(request(job_type, nested(path, outside))))
            assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
            assert any(path[-1].json_name in field for field in refusal.fields), (path[-1].name, refusal.fields)
            assert "root:" not in refusal.message


@pytest.mark.families
def test_the_contract_has_paths_to_be_held_to_the_roots() -> None:
    marked = {each.key for each in TYPES for path in texts(each.payload.DESCRIPTOR) if has_mark(STORAGE_PATH, path[-1])}
    assert {"file:process/image-process", "file:process/compress", "export:data/csv", "email:send/send"} <= marked
