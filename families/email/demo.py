"""The sample jobs of the e-mail family."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, Final

from qcollector.jobs.v1.email_pb2 import EmailUser
from qcollector.jobs.v1.job_pb2 import Job
from qcollector.jobs.v1.job_queries_pb2 import WatchJobResponse
from qcollector.jobs.v1.processor_service_pb2 import SendWelcomeEmailRequest

from stack.demo.gateway import Enqueued, Gateway
from stack.demo.sample import Sample, unless_completed

NAMES: Final = ("Bo", "Chiara", "Dmitri", "Emeka", "Farida", "Goran", "Hana", "Ines", "Jun", "Kofi", "Lena")


class Welcome(Sample):
    """A typed call, followed over gRPC."""

    title: ClassVar[str] = "Welcome mail, by gRPC"
    mails: ClassVar[int] = 1

    async def enqueue(self, gateway: Gateway) -> Enqueued:
        user = EmailUser(id="1", email="ada@example.com", username="ada", first_name="Ada", department="Engines")
        answer = await gateway.processors.SendWelcomeEmail(
            SendWelcomeEmailRequest(user=user), metadata=gateway.metadata
        )
        return Enqueued(answer.queue_name, answer.job_id)

    def problems(self, job: Job) -> Sequence[str]:
        return unless_completed(job)


class Batch(Sample):
    """The documentation's own example of a batch, followed as a browser would. One of its addresses is none."""

    title: ClassVar[str] = "Batch of mails, by REST"
    mails: ClassVar[int] = len(NAMES)

    async def enqueue(self, gateway: Gateway) -> Enqueued:
        mails: list[dict[str, Any]] = [
            {"to": f"{name.lower()}@example.com", "template": "welcome", "data": {"name": name, "email": f"{name}@x"}}
            for name in NAMES
        ]
        mails.insert(4, {"to": "not an address", "template": "welcome", "data": {"name": "Nobody"}})
        data = {"emails": mails, "options": {"batchSize": 2, "delay": 250}}
        answer = await gateway.post("queue/jobs", {"queueName": "email:batch", "jobType": "batch", "data": data})
        return Enqueued(answer["queueName"], answer["jobId"])

    def follow(self, gateway: Gateway, job: Enqueued) -> AsyncIterator[WatchJobResponse]:
        return gateway.watch_events(job)

    def problems(self, job: Job) -> Sequence[str]:
        sent, refused = job.result.email_batch.successful, job.result.email_batch.failed
        if (sent, refused) != (len(NAMES), 1):
            return (*unless_completed(job), f"{sent} mails were sent and {refused} refused, not {len(NAMES)} and 1")
        return unless_completed(job)


SAMPLES: Final[Sequence[Sample]] = (Welcome(), Batch())
