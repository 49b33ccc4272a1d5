"""What every message and call of the contract keeps to, held against the descriptors."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import qcollector
from google.api.annotations_pb2 import http
from google.api.field_behavior_pb2 import IMMUTABLE, OUTPUT_ONLY, REQUIRED, field_behavior
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from qcollector._proto import validate_pb2
from qcollector.jobs.v1 import (
    analytics_service_pb2,
    enqueue_pb2,
    job_bulk_pb2,
    job_queries_pb2,
    job_service_pb2,
    options_pb2,
    processor_service_pb2,
    schedule_service_pb2,
)

SERVICES: Final = (job_service_pb2, schedule_service_pb2, analytics_service_pb2, processor_service_pb2)
PACKAGE: Final = "qcollector.jobs.v1"
WIDE: Final = {
    *(FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_SINT64),
    *(FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64),
}

DOCUMENTED_MS: Final = {
    *("JobOptions.delay", "JobOptions.timeout", "Backoff.delay", "CleanQueueRequest.grace"),
    *("EmailBatchOptions.delay", "FileCleanup.older_than", "SystemCleanupTask.max_age"),
}
"""Milliseconds under the documentation's own names."""
OWN_WORDS: Final = {
    *("JobOptions.run_at", "JobOptions.expire_at"),
    *("EmailSubmission.created_at", "SystemHealth.timestamp", "SystemBackupFile.timestamp"),
    *("UserForms.last_created", "UserSubmissions.last_made", "UserLogins.last_login", "UserSummary.last_activity"),
    *("Schedule.last_slot", "ScheduleRun.slot"),
}
"""Moments under the documentation's own names, or the options' that go with `delay`."""
UNITS: Final = ("_ms", "_seconds", "_minutes", "_hours", "_per_second")
SPAN: Final = re.compile(
    r"(^|_)(time|times|timeout|delay|period|age|grace|latency|retention|duration|older|wait|uptime|lease)(_|$)"
)


def files() -> list[FileDescriptor]:
    """Those of the contract, by what its services import."""
    found: dict[str, FileDescriptor] = {}
    ahead: list[FileDescriptor] = [module.DESCRIPTOR for module in SERVICES]
    while ahead:
        file = ahead.pop()
        if file.package == PACKAGE and file.name not in found:
            found[file.name] = file
            ahead += file.dependencies
    return list(found.values())


def messages() -> Iterator[Descriptor]:
    for file in files():
        yield from file.message_types_by_name.values()


METHODS: Final[list[MethodDescriptor]] = [
    method for file in files() for service in file.services_by_name.values() for method in service.methods
]


def level(method: MethodDescriptor) -> str:
    return MethodOptions.IdempotencyLevel.Name(method.GetOptions().idempotency_level)


@pytest.mark.parametrize("file", files(), ids=lambda file: file.name)
def test_every_file_says_where_other_languages_keep_it(file: FileDescriptor) -> None:
    options = file.GetOptions()
    assert options.go_package == "qcollector/jobs/v1;jobsv1"
    assert (options.java_package, options.java_multiple_files) == ("com.qcollector.jobs.v1", True)
    assert options.csharp_namespace == "Qcollector.Jobs.V1"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_call_says_whether_it_may_be_repeated(method: MethodDescriptor) -> None:
    assert method.GetOptions().HasField("idempotency_level")
    rule: HttpRule = method.GetOptions().Extensions[http]  # type: ignore[index]
    if rule.WhichOneof("pattern") == "get":
        assert level(method) == "NO_SIDE_EFFECTS"
    elif method.name != "PreviewSchedule":
        assert level(method) != "NO_SIDE_EFFECTS"


def protected(message: Descriptor) -> bool:
    """Whether its caller can name the request, or each of its rows."""
    rows = [field.message_type for field in message.fields if field.is_repeated and field.message_type]
    return any("request_id" in one.fields_by_name for one in (message, *rows))


def test_what_enqueues_can_be_repeated() -> None:
    enqueues = [method for method in METHODS if "duplicate" in method.output_type.fields_by_name]
    assert len(enqueues) == 10
    streams = {method.name for method in enqueues if method.client_streaming}
    assert {method.name for method in enqueues if not protected(method.input_type)} == streams


def test_the_service_config_repeats_what_is_harmless_and_only_while_nobody_is_there() -> None:
    config: Any = json.loads((Path(next(iter(qcollector.__path__))) / "service_config.json").read_text("utf-8"))
    (entry,) = config["methodConfig"]
    assert entry["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE", "CANCELLED"]
    repeated = {f"{name['service']}/{name['method']}" for name in entry["name"]}
    for method in METHODS:
        harmless = level(method) != "IDEMPOTENCY_UNKNOWN" or protected(method.input_type)
        streams = method.client_streaming or method.server_streaming
        name = f"{method.containing_service.full_name}/{method.name}"
        assert (name in repeated) == (harmless and not streams), name


def test_no_number_is_so_wide_that_json_makes_it_a_text() -> None:
    wide = [f"{field.full_name}" for message in messages() for field in message.fields if field.type in WIDE]
    assert wide == []


def test_options_are_numbered_in_the_range_for_private_use() -> None:
    numbers = [option.number for option in options_pb2.DESCRIPTOR.extensions_by_name.values()]
    assert numbers
    assert all(50_000 <= number <= 99_999 for number in numbers)
    assert len(set(numbers)) == len(numbers)


def short(field: FieldDescriptor) -> str:
    return field.full_name.removeprefix(f"{PACKAGE}.")


def test_every_span_of_time_names_its_unit() -> None:
    numbers = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}
    spans = [field for message in messages() for field in message.fields if field.cpp_type in numbers]
    unnamed = {short(field) for field in spans if SPAN.search(field.name) and not field.name.endswith(UNITS)}
    assert unnamed == DOCUMENTED_MS


def test_every_moment_is_called_a_time() -> None:
    moments = {
        short(field)
        for message in messages()
        for field in message.fields
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp"
    }
    assert {name for name in moments if not name.endswith(("time", "times", "_after", "_before"))} == OWN_WORDS


def behavior(field: FieldDescriptor) -> list[int]:
    return list(field.GetOptions().Extensions[field_behavior])  # type: ignore[index]


CHANGEABLE: Final = {
    "Job": {"priority", "payload", "options"},
    "Schedule": {"description", "cron", "timezone", "queue_name", "job_type", "payload", "options", "paused", "etag"},
    "QueueStats": {"queue_name", "limits"},
}
"""Of what callers create or steer, the fields that are theirs to choose and that no rule keeps from changing."""


@pytest.mark.parametrize("name", CHANGEABLE)
def test_what_only_the_service_sets_is_output_only_and_what_stays_is_immutable(name: str) -> None:
    (message,) = [one for one in messages() if one.name == name]
    unmarked = {field.name for field in message.fields if not {OUTPUT_ONLY, IMMUTABLE} & set(behavior(field))}
    assert unmarked == CHANGEABLE[name]


def test_no_field_is_both_required_and_output_only() -> None:
    for message in messages():
        for field in message.fields:
            assert not {REQUIRED, OUTPUT_ONLY} <= set(behavior(field)), field.full_name


def test_required_is_what_the_rules_require() -> None:
    """`make gen` marks the fields; this holds what it wrote against the rules as the service reads them."""
    for message in messages():
        for field in message.fields:
            marked = REQUIRED in behavior(field)
            rules: Any = field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[attr-defined]
            if rules.required:
                assert marked, field.full_name
            if marked:
                kind = rules.WhichOneof("type")
                assert rules.required or kind in {"string", "repeated", "map", "enum", "int32", "double"}, (
                    field.full_name
                )


def test_every_name_in_a_path_is_required() -> None:
    for method in METHODS:
        rule: HttpRule = method.GetOptions().Extensions[http]  # type: ignore[index]
        path = getattr(rule, rule.WhichOneof("pattern") or "get")
        for name in re.findall(r"{(\w+)}", path):
            field = method.input_type.fields_by_name[name]
            assert REQUIRED in behavior(field), field.full_name


def shape(field: FieldDescriptor) -> tuple[Any, ...]:
    rules: Any = field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[attr-defined]
    return field.type, field.is_repeated, field.message_type, field.enum_type, str(rules)


def test_jobs_are_listed_by_the_conditions_by_which_bulk_actions_choose_them() -> None:
    """The list has them on its own level, as its query parameters, such as `states=waiting`, have no dots."""
    listed = job_queries_pb2.ListJobsRequest.DESCRIPTOR.fields_by_name
    for condition in job_bulk_pb2.JobFilter.DESCRIPTOR.fields:
        assert shape(listed[condition.name]) == shape(condition), condition.name


def test_everything_that_enqueues_answers_in_one_shape() -> None:
    wanted = {field.name: (field.number, *shape(field)) for field in enqueue_pb2.EnqueueJobResponse.DESCRIPTOR.fields}
    answers = [
        message
        for message in messages()
        if message.name.endswith(("Response", "Result")) and wanted.keys() <= set(message.fields_by_name)
    ]
    enqueueing = {"EnqueueJob", "BatchEnqueueJobs", "StreamEnqueueJobs", "TriggerSchedule"}
    calls = [m for m in METHODS if m.name in enqueueing or m.containing_service.name == "ProcessorService"]
    assert len(answers) == len(calls)
    for message in answers:
        for name, expected in wanted.items():
            field = message.fields_by_name[name]
            assert (field.number, *shape(field)) == expected, field.full_name
