"""The mail that tells of an export that is ready."""

import hashlib
from typing import Final

from qcollector.jobs.v1.email_pb2 import EmailExportFile, EmailExportInfo, EmailExportNotification, EmailUser
from qcollector.jobs.v1.export_pb2 import ExportMetadata, ExportNotify
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.job_reference_pb2 import JobReference
from sqlalchemy.ext.asyncio import AsyncEngine

from contract.errors import BacklogFullError, JobIdConflictError, JobServiceError, ServiceDisabledError, StoreFullError
from families.database.access import SEE_ALL
from families.database.connection import reading
from families.database.users import user_of
from workers.broker import Enqueue
from workers.context import JobContext

_NO_MAIL: Final = (ServiceDisabledError, BacklogFullError, StoreFullError)
"""Reasons to go without the mail: the export is there all the same."""


async def tell(
    job: JobContext, notify: ExportNotify, what: str, made: ExportMetadata, data: AsyncEngine, enqueue: Enqueue
) -> None:
    """Enqueues the mail, once for each export however often it starts. `what` is in the reader's words.

    Raises:
      JobServiceError: the store cannot be reached.
      DatabaseError: the reader's name cannot be looked up.
    """
    info = EmailExportInfo(
        type=what,
        format=made.format,
        records_count=made.record_count,
        file_size=str(int(made.file_size)),
        generate_time=made.generate_time,
        file=EmailExportFile(
            job=JobReference(queue_name=job.queue, job_id=job.job_id), sha256=made.sha256, expire_time=made.expire_time
        ),
    )
    mail = EmailExportNotification(
        user=EmailUser(email=notify.email, first_name=await _name(job, notify, data)), export_info=info
    )
    try:
        await enqueue(mail, JobOptions(job_id=mail_id(job)))
    except JobIdConflictError:
        pass  # an earlier start of this export has sent it, with the figures of its own file
    except _NO_MAIL as error:
        await job.say(f"no mail was sent: {error.message}")
    except JobServiceError:
        job.log.warning("export_mail_failed")
        raise


async def _name(job: JobContext, notify: ExportNotify, data: AsyncEngine) -> str:
    """How the mail addresses its reader: a user's own name, not one that the user has chosen for this mail."""
    if job.caller.role in SEE_ALL:
        return notify.name
    async with reading(data) as connection:
        user = await user_of(connection, job.caller.id)
    return user.name if user is not None else job.caller.name


def mail_id(job: JobContext) -> str:
    """The same for every start of the job."""
    return f"export-ready-{hashlib.sha256(f'{job.queue}/{job.job_id}'.encode()).hexdigest()[:32]}"
