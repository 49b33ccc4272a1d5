"""The sample jobs of the export family."""

import csv
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar, Final

from google.protobuf.json_format import ParseDict
from openpyxl import load_workbook
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportMetadata
from qcollector.jobs.v1.job_pb2 import Job
from qcollector.jobs.v1.payload_pb2 import JobPayload

from families.database.sample_data.ids import form_id
from stack.demo.gateway import Enqueued, Gateway
from stack.demo.sample import Sample, unless_completed

LEADS: Final = str(form_id(3))
INSPECTIONS: Final = str(form_id(2))
COLUMNS: Final = ("id", "created_at", "status")


class Query(Sample):
    """The documentation's own example of a custom query, typed."""

    title: ClassVar[str] = "Query as CSV, by gRPC"

    async def enqueue(self, gateway: Gateway) -> Enqueued:
        query = {
            "model": "Submission",
            "options": {"where": {"form_id": LEADS}, "include": [{"model": "SubmissionData"}]},
        }
        export = ExportCsv(fields=COLUMNS, output_path="exports/export.csv")
        ParseDict(query, export.query)
        answer = await gateway.jobs.EnqueueJob(
            EnqueueJobRequest(payload=JobPayload(export_csv=export)), metadata=gateway.metadata
        )
        return Enqueued(answer.queue_name, answer.job_id)

    def problems(self, job: Job) -> Sequence[str]:
        if faults := unless_completed(job):
            return faults
        made = job.result.export_csv.metadata
        with Path(made.file_path).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        return _unless_whole(made, header, COLUMNS, len(rows))


class Submissions(Sample):
    """A form's submissions as the application's front end asks for them, and a mail when they are ready."""

    title: ClassVar[str] = "Submissions as Excel, by REST"
    mails: ClassVar[int] = 1

    async def enqueue(self, gateway: Gateway) -> Enqueued:
        data = {
            "formId": INSPECTIONS,
            "format": "xlsx",
            "dateRange": {"start": "2020-01-01", "timezone": "Asia/Bangkok"},
            "options": {"notify": {"email": "ada@example.com", "name": "Ada"}},
        }
        body = {"queueName": "export:data", "jobType": "form-submissions", "data": data}
        answer = await gateway.post("queue/jobs", body)
        return Enqueued(answer["queueName"], answer["jobId"])

    def problems(self, job: Job) -> Sequence[str]:
        if faults := unless_completed(job):
            return faults
        made = job.result.export_form_submissions.metadata
        with closing(load_workbook(made.file_path, read_only=True)) as book:
            header, *rows = book.worksheets[0].iter_rows(values_only=True)
            if len(book.worksheets) != made.worksheet_count:
                return (f"there are {len(book.worksheets)} worksheets, not {made.worksheet_count}",)
        return _unless_whole(made, [str(name) for name in header], made.fields[: len(header)], len(rows))


def _unless_whole(made: ExportMetadata, header: Sequence[str], columns: Sequence[str], rows: int) -> Sequence[str]:
    """The problem of a file that has other columns, or another number of rows, than it should."""
    if list(header) != list(columns) or not 0 < rows == made.record_count:
        return (f"{made.file_name} has the columns {header} and {rows} rows, not {columns} and {made.record_count:g}",)
    return ()


SAMPLES: Final[Sequence[Sample]] = (Query(), Submissions())
