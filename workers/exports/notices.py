"""The mail that tells of an export that is ready."""

import hashlib
from typing import Final
from urllib.parse import quote

from qcollector.jobs.v1.email_pb2 import EmailExportInfo, EmailExportNotification, EmailUser
from qcollector.jobs.v1.export_pb2 import ExportMetadata, ExportNotify
from qcollector.jobs.v1.job_pb2 import JobOptions

from engine.errors import BacklogFullError, JobIdConflictError, JobServiceError, ServiceDisabledError, StoreFullError
from workers.broker import Enqueue
from workers.context import JobContext

_NO_MAIL: Final = (ServiceDisabledError, BacklogFullError, StoreFullError)
"""Reasons to go without the mail: the export is there all the same."""


async def tell(job: JobContext, notify: ExportNotify, what: str, made: ExportMetadata, enqueue: Enqueue) -> None:
    """Enqueues the mail, once for each export however often it starts. `what` is in the reader's words.

    Raises:
      JobServiceError: the store cannot be reached.
    """
    info = EmailExportInfo(
        type=what,
        format=made.format,
        records_count=made.record_count,
        file_size=str(int(made.file_size)),
        generated_at=made.generated_at,
        download_url=download_url(job),
    )
    mail = EmailExportNotification(user=EmailUser(email=notify.email, first_name=notify.name), export_info=info)
    try:
        await enqueue(mail, JobOptions(job_id=mail_id(job)))
    except JobIdConflictError:
        pass  # an earlier start of this export has sent it, with the figures of its own file
    except _NO_MAIL as error:
        await job.say(f"no mail was sent: {error.message}")
    except JobServiceError:
        job.log.warning("export_mail_failed")
        raise


def mail_id(job: JobContext) -> str:
    """The same for every start of the job."""
    return f"export-ready-{hashlib.sha256(f'{job.queue}/{job.job_id}'.encode()).hexdigest()[:32]}"


def download_url(job: JobContext) -> str:
    """Where the application's pages fetch the file; like all calls it takes a token."""
    return f"{job.settings.app_url.rstrip('/')}/api/v1/queue/{quote(job.queue, safe=':')}/jobs/{job.job_id}/result"
