"""The taskiq broker: one task for each job type, protobuf envelopes as messages, the engine as transport."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions
from taskiq import (
    AckableMessage,
    AsyncTaskiqDecoratedTask,
    BrokerMessage,
    Context,
    TaskiqDepends,
    TaskiqMessage,
)
from taskiq.abc.formatter import TaskiqFormatter
from taskiq_redis.redis_broker import BaseRedisBroker

from contract.admission import Admission, Origin
from contract.catalog import Catalog, CatalogError, JobType, check_handlers
from contract.ids import new_job_id
from engine.intake import Intake
from workers.handlers import Handler
from workers.running import RunningJob

OWN: Final = Caller(id="worker", name="worker", role="service")
"""Who enqueued a job that a worker makes itself."""

Enqueue = Callable[[Message, JobOptions], Awaitable[None]]
"""Stores a job of this process's own, by the same rules as a caller's. Raises JobServiceError."""

_OF_NO_JOB: Final = Origin(OWN)


class JobTask(AsyncTaskiqDecoratedTask[Any, Any]):
    """taskiq's task, except that it leaves the handler as it is.

    The original renames the function and writes it into its module, for process pools that are not used here.
    """

    def __init__(
        self,
        broker: "JobBroker",
        task_name: str,
        original_func: Callable[..., Any],
        labels: dict[str, Any],
        return_type: type[Any] | None = None,
    ) -> None:
        self.broker = broker
        self.task_name = task_name
        self.original_func = original_func
        self.labels = labels
        self.return_type = return_type


class EnvelopeFormatter(TaskiqFormatter):
    """Between the bytes of a JobEnvelope and taskiq's message, whose one argument is the payload message."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def dumps(self, message: TaskiqMessage) -> BrokerMessage:
        job_type = self._catalog.types[message.task_name]
        (payload,) = message.args
        envelope = JobEnvelope(
            id=message.task_id,
            queue_name=job_type.queue,
            job_type=job_type.type,
            payload=payload.SerializeToString(),
            options=_options(message),
        )
        return BrokerMessage(
            task_id=message.task_id,
            task_name=message.task_name,
            message=envelope.SerializeToString(),
            labels=message.labels,
        )

    def loads(self, message: bytes) -> TaskiqMessage:
        envelope = JobEnvelope.FromString(message)
        job_type = self._catalog.type(envelope.queue_name, envelope.job_type)
        return message_of(envelope, job_type, job_type.payload.FromString(envelope.payload))


def message_of(envelope: JobEnvelope, job_type: JobType, payload: Message, *further: Any) -> TaskiqMessage:
    """What taskiq runs: the payload message, and whatever else the handler takes by position."""
    return TaskiqMessage(
        task_id=envelope.id,
        task_name=job_type.key,
        labels={},
        args=[payload, *further],
        kwargs={},
    )


class JobBroker(BaseRedisBroker):
    """Holds one task for each type of the catalog, named by its key, such as `email:send/welcome`."""

    def __init__(self, catalog: Catalog, handlers: Mapping[str, Handler], admission: Admission, intake: Intake) -> None:
        """Raises CatalogError where types and handlers do not fit together."""
        # The base's pool connects on use only, and is not used: the engine's store also speaks Sentinel and Cluster.
        super().__init__("redis://")
        check_handlers(catalog, handlers)
        self.catalog = catalog
        self.decorator_class = JobTask  # type: ignore[assignment]  # taskiq's own type names no subclass
        self.formatter = EnvelopeFormatter(catalog)
        self.id_generator = new_job_id
        self._admission = admission
        self._intake = intake
        for job_type in catalog.types.values():
            handler = handlers[job_type.payload.DESCRIPTOR.full_name]
            _refuse_sync(job_type, handler)
            self.register_task(handler, job_type.key)

    def find_task(self, task_name: str) -> AsyncTaskiqDecoratedTask[Any, Any] | None:
        """Only its own: taskiq would fall back on a registry that all brokers of the process share."""
        return self.local_task_registry.get(task_name)

    def get_all_tasks(self) -> dict[str, AsyncTaskiqDecoratedTask[Any, Any]]:
        return dict(self.local_task_registry)

    async def kick(self, message: BrokerMessage) -> None:
        """Enqueues a job of this process's own, by the same rules as a caller's. taskiq's task id is the job's.

        Labels that are names of JobOptions are its options: `task.kicker().with_labels(priority=5).kiq(payload)`.

        Raises:
          JobServiceError: the payload or the options are refused, or the store cannot take the job.
        """
        envelope = JobEnvelope.FromString(message.message)
        job_type = self.catalog.type(envelope.queue_name, envelope.job_type)
        await self.enqueue(job_type.payload.FromString(envelope.payload), envelope.options)

    async def enqueue(self, payload: Message, options: JobOptions, origin: Origin = _OF_NO_JOB) -> None:
        """The same for a handler: see `enqueue`, the dependency.

        Raises:
          JobServiceError: as `kick`.
        """
        admitted = self._admission.admit_payload(payload, options, origin)
        await self._intake.enqueue(admitted.job)

    def listen(self) -> AsyncGenerator[bytes | AckableMessage, None]:
        raise RuntimeError("jobs carry leases that only workers.receiver.JobReceiver renews; run that receiver")


def enqueue(context: Context = TaskiqDepends()) -> Enqueue:  # noqa: B008  (taskiq's way to say it)
    """For handlers that make jobs: `enqueue: Annotated[Enqueue, TaskiqDepends(enqueue)]`."""
    broker = context.broker
    _, job = context.message.args
    assert isinstance(broker, JobBroker)
    assert isinstance(job, RunningJob)
    return partial(broker.enqueue, origin=Origin(OWN, job.envelope.request_id, job.trace))


def _options(message: TaskiqMessage) -> JobOptions:
    known = {name: value for name, value in message.labels.items() if name in JobOptions.DESCRIPTOR.fields_by_name}
    options = ParseDict(known, JobOptions())
    options.job_id = message.task_id
    return options


def _refuse_sync(job_type: JobType, handler: Handler) -> None:
    if not inspect.iscoroutinefunction(handler):
        raise CatalogError(
            [f"the handler of {job_type.key} is not `async def`; make it so, and run what blocks by anyio.to_thread"]
        )
