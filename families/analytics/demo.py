"""The sample jobs of the analytics family."""

from collections.abc import Sequence
from typing import ClassVar, Final

from qcollector.jobs.v1.job_pb2 import Job

from families.database.sample_data.forms import FORMS
from families.database.sample_data.ids import form_id
from stack.demo.gateway import Enqueued, Gateway
from stack.demo.sample import Sample, unless_completed


class FormStats(Sample):
    """Statistics of the first sample form."""

    title: ClassVar[str] = "Statistics of a form"

    async def enqueue(self, gateway: Gateway) -> Enqueued:
        body = {"queueName": "analytics:calculate", "jobType": "form-stats", "data": {"formId": str(form_id(1))}}
        answer = await gateway.post("queue/jobs", body)
        return Enqueued(answer["queueName"], answer["jobId"])

    def problems(self, job: Job) -> Sequence[str]:
        found = job.result.analytics_form_stats.stats.submissions.total
        if found != FORMS[0].submissions:
            return (*unless_completed(job), f"{found} submissions were counted, not {FORMS[0].submissions}")
        return unless_completed(job)


SAMPLES: Final[Sequence[Sample]] = (FormStats(),)
