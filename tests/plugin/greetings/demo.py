"""The sample job of greetings."""

from collections.abc import Sequence
from typing import ClassVar, Final

from qcollector.jobs.v1.job_pb2 import Job

from stack.demo.gateway import Enqueued, Gateway
from stack.demo.sample import Sample, unless_completed


class Greeting(Sample):
    """One greeting, by the plugin's own path."""

    title: ClassVar[str] = "Greeting, by REST"

    async def enqueue(self, gateway: Gateway) -> Enqueued:
        answer = await gateway.post("greetings", {"name": "Ada"})
        return Enqueued(answer["queueName"], answer["jobId"])

    def problems(self, job: Job) -> Sequence[str]:
        return unless_completed(job)


SAMPLES: Final = (Greeting(),)
