"""The job types and queues of a process, as the contract declares them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType, ModuleType

from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import DecodeError, Message
from qcollector.jobs.v1.payload_pb2 import JobPayload, JobResult

from base.plugins import PluginError, hooks
from base.settings import Settings
from contract.checks import field_checks
from contract.declarations import CUSTOM, CatalogError, Declarations, JobType, QueuePolicy
from contract.errors import FieldProblem, JobTypeUnknownError, QueueUnknownError, RequestInvalidError
from contract.fields import Mark

__all__ = [
    "Catalog",
    "CatalogError",
    "JobType",
    "QueuePolicy",
    "active_per_owner",
    "catalog_of",
    "check_handlers",
    "concurrency",
    "load_catalog",
    "plugin_files",
]


class Catalog:
    """All types and queues of a process."""

    def __init__(self, types: Iterable[JobType], queues: Iterable[QueuePolicy]) -> None:
        self.types: Mapping[str, JobType] = MappingProxyType({t.key: t for t in sorted(types, key=lambda t: t.key)})
        self.queues: Mapping[str, QueuePolicy] = MappingProxyType(
            {q.name: q for q in sorted(queues, key=lambda q: q.name)}
        )
        self._words: dict[str, dict[str, JobType]] = {name: {} for name in self.queues}
        for job_type in self.types.values():
            self._words[job_type.queue][job_type.type] = job_type
        self._members = {t.member: t for t in self.types.values() if t.member != CUSTOM}
        self._messages = {t.payload.DESCRIPTOR.full_name: t for t in self.types.values()}

    def queue(self, name: str) -> QueuePolicy:
        """The queue of that name.

        Raises:
          QueueUnknownError: lists those there are.
        """
        try:
            return self.queues[name]
        except KeyError:
            raise QueueUnknownError(
                f"no queue is named {name!r}; the queues are {', '.join(self.queues)}", queue=name
            ) from None

    def type(self, queue: str, word: str) -> JobType:
        """The type with that word in that queue.

        Raises:
          QueueUnknownError: there is no such queue.
          JobTypeUnknownError: lists the queue's words.
        """
        try:
            return self._words[queue][word]
        except KeyError:
            words = ", ".join(self._words[self.queue(queue).name]) or "none"
            raise JobTypeUnknownError(
                f"queue {queue} has no job type {word!r}; its types are {words}", queue=queue, type=word
            ) from None

    def queues_with(self, word: str) -> tuple[str, ...]:
        """The queues that have a type with that word; all of them for an empty word.

        Raises:
          JobTypeUnknownError: no queue has one.
        """
        found = tuple(queue for queue, words in self._words.items() if not word or word in words)
        if not found:
            raise JobTypeUnknownError(f"no queue has a job type {word!r}", type=word)
        return found

    def by_message(self, full_name: str) -> JobType:
        """The type whose payload is the message of that full name.

        Raises:
          JobTypeUnknownError: no type has it.
        """
        try:
            return self._messages[full_name]
        except KeyError:
            raise JobTypeUnknownError(f"{full_name} is not the payload of a job type", type=full_name) from None

    def of_payload(self, payload: JobPayload) -> tuple[JobType, Message]:
        """The type and the payload message that a JobPayload carries.

        Raises:
          RequestInvalidError: it carries none, or bytes that are not the message that they claim to be.
          JobTypeUnknownError: `custom` carries a message that is not the payload of a type.
        """
        member = payload.WhichOneof("payload")
        if member is None:
            raise _invalid("payload", "required", "set the member that carries the job type's payload")
        if member != CUSTOM:
            if (known := self._members.get(member)) is None:
                raise JobTypeUnknownError(f"this service has no job type for the payload {member}", type=member)
            return known, getattr(payload, member)
        packed = payload.custom
        job_type = self.by_message(packed.type_url.rpartition("/")[2])
        try:
            return job_type, job_type.payload.FromString(packed.value)
        except DecodeError:
            name = job_type.payload.DESCRIPTOR.full_name
            raise _invalid(f"payload.{CUSTOM}", "malformed", f"the bytes are not a {name}; pack one") from None

    def wrap_payload(self, job_type: JobType, message: Message) -> JobPayload:
        """`message` under its member of JobPayload."""
        return JobPayload(**{job_type.member: _packed(job_type, message)})  # type: ignore[arg-type]

    def wrap_result(self, job_type: JobType, result: bytes) -> JobResult:
        """A stored result under its member of JobResult."""
        return JobResult(**{job_type.member: _packed(job_type, job_type.result.FromString(result))})  # type: ignore[arg-type]


def load_catalog(plugins: Sequence[str] = ()) -> Catalog:
    """Reads the `contract` modules of the families, and of the plugins that JOB_PLUGINS names.

    Raises:
      CatalogError: names every declaration that cannot be served.
    """
    files = plugin_files(plugins)
    return catalog_of(files, field_checks(tuple(plugins)).keys())


def plugin_files(plugins: Sequence[str]) -> list[FileDescriptor]:
    """The files of the families' contracts, and of the plugins that JOB_PLUGINS names.

    Raises:
      CatalogError: a plugin cannot be found, or its `contract` names no file.
    """
    try:
        modules = hooks("contract", plugins)
    except PluginError as error:
        raise CatalogError([str(error)]) from None
    return list({file.name: file for module in modules for file in _files(module)}.values())


def catalog_of(files: Collection[FileDescriptor], text_marks: Collection[Mark] = ()) -> Catalog:
    """The catalog that these files declare; `text_marks` are marks of plugins for strings.

    Raises:
      CatalogError: names every declaration that cannot be served.
    """
    declarations = Declarations(files, text_marks)
    if declarations.problems:
        raise CatalogError(declarations.problems)
    return Catalog(declarations.types.values(), declarations.queues.values())


def check_handlers(catalog: Catalog, handlers: Mapping[str, object]) -> None:
    """Compares the declared types with the handlers, by the payload message's full name.

    Raises:
      CatalogError: a type has no handler, or a handler no type.
    """
    declared = {t.payload.DESCRIPTOR.full_name: t for t in catalog.types.values()}
    problems = [
        f"{job_type.key} has no handler: write one with @handles({job_type.payload.DESCRIPTOR.name}) in its plugin's "
        f"`handlers`, or remove the job_type option of {name}"
        for name, job_type in declared.items()
        if name not in handlers
    ]
    problems += [
        f"the handler of {name} serves no job type: give the message its job_type option, import its module in the "
        "plugin's `contract`, or remove the handler"
        for name in handlers
        if name not in declared
    ]
    if problems:
        raise CatalogError(problems)


def concurrency(policy: QueuePolicy, settings: Settings) -> int:
    """Jobs that one worker process runs at once: the family's setting, or the queue's own bound where it is lower."""
    family = settings.family_concurrency(policy.family)
    return min(family, policy.concurrency) if policy.concurrency else family


def active_per_owner(policy: QueuePolicy, settings: Settings) -> int:
    """The most jobs of one caller that are active at once, over all workers; 0 means no limit."""
    return settings.family_max_per_user(policy.family)


def _files(contract: ModuleType) -> list[FileDescriptor]:
    """The files whose generated modules a plugin's `contract` imports."""
    files = [
        value.DESCRIPTOR
        for value in vars(contract).values()
        if isinstance(value, ModuleType) and isinstance(getattr(value, "DESCRIPTOR", None), FileDescriptor)
    ]
    if not files:
        raise CatalogError(
            [f"{contract.__name__} imports no generated module; import those that declare its job types there"]
        )
    return files


def _packed(job_type: JobType, message: Message) -> Message:
    if job_type.member != CUSTOM:
        return message
    packed = Any()
    packed.Pack(message)
    return packed


def _invalid(field: str, rule: str, description: str) -> RequestInvalidError:
    return RequestInvalidError([FieldProblem(field, rule, description)])
