"""How a declaration in the contract becomes a job type or a queue, and what is wrong with one that cannot."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, OneofDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from qcollector.jobs.v1 import options_pb2
from qcollector.jobs.v1.options_pb2 import JobTypeOptions, QueueOptions, Role
from qcollector.jobs.v1.payload_pb2 import JobPayload, JobResult

from base.errors import StartError
from contract.fields import RESERVED_KEYS, STORAGE_PATH, Mark, fields_within, has_mark, is_map, map_fields
from contract.masking import has_sensitive

CUSTOM: Final = "custom"
"""The member that carries the types of other packages."""
DEFAULT_TIMEOUT: Final = 10 * 60 * 1000
HOUR: Final = 60 * 60 * 1000
MessageClass = type[Message]

_QUEUE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*(:[a-z0-9][a-z0-9_-]*)*")
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_NOT_IN_MEMBERS: Final = re.compile(r"[^a-z0-9]+")
_CAPITALS: Final = re.compile(r"(?<!^)(?=[A-Z])")


class CatalogError(StartError):
    """A contract that cannot be served; the message says each cause and its remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("The declared job types cannot be served:\n  " + "\n  ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """A queue as its file declares it."""

    name: str
    family: str
    concurrency: int
    """The most jobs that one worker process runs at once; 0 means the family's setting alone decides."""
    max_active: int
    """The most jobs active over all workers until an operator says otherwise; 0 means no limit."""
    keep_completed: int
    keep_failed: int
    shared_storage: bool = False
    """Whether its workers must share the storage roots with the service."""


@dataclass(frozen=True, slots=True)
class JobType:
    """A job type as its payload message declares it. Times are milliseconds."""

    queue: str
    type: str
    key: str
    """Queue and word: `email:send/welcome`."""
    payload: MessageClass
    result: MessageClass
    member: str
    """The member of JobPayload and JobResult that carries it, or `custom`."""
    attempts: int
    exponential: bool
    backoff: int
    jitter: float
    timeout: int
    minimum_role: Role.ValueType
    retention: int
    """How long a finished job stays at least; 0 means the service's own minimum."""
    export_file: bool
    """Whether its result names a file in EXPORT_DIR, as long as which the job stays."""
    critical: bool
    """Whether somebody must hear of it when such a job fails for good."""
    sensitive: bool
    """Whether its payload can hold secrets."""
    description: str


class Declarations:
    """What some files declare, and everything that is wrong with it."""

    def __init__(self, files: Collection[FileDescriptor], text_marks: Collection[Mark] = ()) -> None:
        """`text_marks` are those of plugins that only strings can carry."""
        self._text_marks = (STORAGE_PATH, *text_marks)
        self.types: dict[str, JobType] = {}
        self.queues: dict[str, QueuePolicy] = {}
        self.problems: list[str] = []
        self._files = {file.name for file in files}
        for file in files:
            self._read_queues(file)
        for file in files:
            for descriptor in _messages(file.message_types_by_name.values()):
                self._read_type(descriptor)
        if not self.problems:  # else types are missing, and their members would be called surplus
            self._check_members()

    def _read_queues(self, file: FileDescriptor) -> None:
        for options in file.GetOptions().Extensions[options_pb2.queue]:
            where = f"queue {options.name!r} in {file.name}"
            if wrong := _wrong_with_queue(options):
                self.problems.append(f"{where}: {wrong}")
            elif options.name in self.queues:
                self.problems.append(f"{where}: another file declares a queue of that name; rename one of them")
            else:
                self.queues[options.name] = QueuePolicy(
                    name=options.name,
                    family=options.family,
                    concurrency=options.concurrency,
                    max_active=options.max_active,
                    keep_completed=options.keep_completed,
                    keep_failed=options.keep_failed,
                    shared_storage=options.shared_storage,
                )

    def _read_type(self, descriptor: Descriptor) -> None:
        if not descriptor.GetOptions().HasExtension(options_pb2.job_type):
            return
        options = descriptor.GetOptions().Extensions[options_pb2.job_type]
        key = f"{options.queue}/{options.type}"
        result = _result_of(descriptor, options.result)
        if wrong := _wrong_with_type(options) or _wrong_with_fields(descriptor, self._text_marks):
            self.problems.append(f"{descriptor.full_name}: {wrong}")
        elif options.queue not in self.queues:
            self.problems.append(
                f"{descriptor.full_name}: no file declares the queue {options.queue!r}; add `option (queue)` with that "
                "name to the file, or correct the name"
            )
        elif key in self.types:
            other = self.types[key].payload.DESCRIPTOR.full_name
            self.problems.append(f"{descriptor.full_name}: {other} is {key} already; give one of them another word")
        elif result is None:
            self.problems.append(
                f"{descriptor.full_name}: the result message {options.result!r} does not exist; declare it, or correct "
                "`result` (a name without a dot is looked up in the payload's package)"
            )
        else:
            self.types[key] = _job_type(descriptor, options, result)

    def _check_members(self) -> None:
        """Holds the types of the contract's own package against the members of JobPayload and JobResult.

        Members whose files are not among those read belong to families that are not here; nothing is said of them.
        """
        wanted: dict[str, JobType] = {}
        for job_type in self.types.values():
            if job_type.member == CUSTOM:
                continue
            other = wanted.setdefault(job_type.member, job_type)
            if other is not job_type:
                self.problems.append(
                    f"{job_type.key} and {other.key} would share the member {job_type.member}; give one another word"
                )
        payloads = {member: job_type.payload for member, job_type in wanted.items()}
        results = {member: job_type.result for member, job_type in wanted.items()}
        self.problems += _differences(JobPayload.DESCRIPTOR.oneofs_by_name["payload"], payloads, self._files)
        self.problems += _differences(JobResult.DESCRIPTOR.oneofs_by_name["result"], results, self._files)


def _differences(union: OneofDescriptor, wanted: Mapping[str, MessageClass], files: Collection[str]) -> Iterator[str]:
    """What keeps those members of `union` whose messages are declared in `files` from being the wanted ones."""
    where = union.containing_type.name
    there = {field.name: field for field in union.fields if field.name != CUSTOM}
    for member, message in wanted.items():
        name = message.DESCRIPTOR.name
        if member not in there:
            yield f"{where} has no member for {name}: add `{name} {member} = <the next number>;`"
        elif there[member].message_type is not message.DESCRIPTOR:
            yield f"{where}.{member} is not a {name}, as its job type says; correct one of the two"
    for member in sorted(there.keys() - wanted.keys()):
        declared = there[member].message_type
        if declared is None or declared.file.name not in files:
            continue
        yield (
            f"{where}.{member} belongs to no job type; name it after its type's family and word (`email_welcome` for "
            "email:send/welcome), or remove it"
        )


def _messages(descriptors: Iterable[Descriptor]) -> Iterator[Descriptor]:
    for descriptor in descriptors:
        yield descriptor
        yield from _messages(descriptor.nested_types)


def _wrong_with_queue(options: QueueOptions) -> str:
    if not _QUEUE_NAME.fullmatch(options.name):
        return "set `name` to lower-case words joined by colons, such as `email:send`"
    if not _WORD.fullmatch(options.family):
        return "set `family` to one lower-case word, such as `email`"
    if min(options.concurrency, options.max_active, options.keep_completed, options.keep_failed) < 0:
        return "no figure may be negative; 0 means none"
    return ""


def _wrong_with_type(options: JobTypeOptions) -> str:
    if not _WORD.fullmatch(options.type):
        return f"type {options.type!r}: set a lower-case word, such as `welcome`"
    if options.backoff.type not in {"", "fixed", "exponential"}:
        return f"backoff type {options.backoff.type!r}: set `fixed` or `exponential`"
    if min(options.attempts, options.backoff.delay, options.timeout_ms, options.retention_hours) < 0:
        return "no figure may be negative; 0 takes the default"
    if not 0 <= options.backoff.jitter <= 1:
        return f"backoff jitter {options.backoff.jitter}: set a share from 0 to 1"
    return ""


def _wrong_with_fields(payload: Descriptor, text_marks: Collection[Mark]) -> str:
    """What would else show at the first job: rules that do not compile, and marks where they have no effect."""
    try:
        protovalidate.collect_violations(GetMessageClass(payload)())
    except protovalidate.CompilationError as error:
        return f"its rules do not compile: {error}; correct them"
    except protovalidate.EvaluationError:
        pass  # rules that hold for set values only
    for field in fields_within(payload):
        if field.type != FieldDescriptor.TYPE_STRING and any(has_mark(mark, field) for mark in text_marks):
            return f"{field.full_name} carries a mark that is for strings alone; make it a string or remove the mark"
        if has_mark(RESERVED_KEYS, field) and not _is_keyed_by_text(field):
            return f"{field.full_name} has reserved_keys, which are for maps with strings as keys; remove them"
    return ""


def _is_keyed_by_text(field: FieldDescriptor) -> bool:
    return is_map(field) and map_fields(field)[0].type == FieldDescriptor.TYPE_STRING


def _result_of(payload: Descriptor, name: str) -> Descriptor | None:
    full_name = name if "." in name else f"{payload.file.package}.{name}"
    try:
        return payload.file.pool.FindMessageTypeByName(full_name)
    except KeyError:
        return None


def _job_type(payload: Descriptor, options: JobTypeOptions, result: Descriptor) -> JobType:
    own = payload.file.package == JobPayload.DESCRIPTOR.file.package
    member = _NOT_IN_MEMBERS.sub("_", f"{options.queue.partition(':')[0]}_{options.type}") if own else CUSTOM
    return JobType(
        queue=options.queue,
        type=options.type,
        key=f"{options.queue}/{options.type}",
        payload=GetMessageClass(payload),
        result=GetMessageClass(result),
        member=member,
        attempts=options.attempts or 1,
        exponential=options.backoff.type == "exponential",
        backoff=options.backoff.delay,
        jitter=options.backoff.jitter,
        timeout=options.timeout_ms or DEFAULT_TIMEOUT,
        minimum_role=options.minimum_role or Role.ROLE_ADMIN,
        retention=options.retention_hours * HOUR,
        export_file=options.export_file,
        critical=options.critical,
        sensitive=has_sensitive(payload),
        description=options.description or _CAPITALS.sub(" ", payload.name).capitalize(),
    )
