"""The email family: single mails, batches, and the four mails that the application sends."""

import time
from datetime import UTC, datetime
from typing import Annotated, Final

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.email_pb2 import (
    EmailBatch,
    EmailBatchResult,
    EmailExportFile,
    EmailExportNotification,
    EmailExportNotificationResult,
    EmailPasswordReset,
    EmailPasswordResetResult,
    EmailSend,
    EmailSendResult,
    EmailSubmissionNotification,
    EmailSubmissionNotificationResult,
    EmailUser,
    EmailWelcome,
    EmailWelcomeResult,
)
from taskiq import TaskiqDepends

from contract.checking import check
from engine.links import DownloadLinks, download_url
from families.email.addresses import AddressError, parse_address
from families.email.batch import Batch, Plan, succeeded
from families.email.composer import Composer, Draft, composer, draft_of
from families.email.failures import MailDelayedError, MailInvalidError, MailRefusedError, listed
from families.email.sender import MailSender, mail_sender
from families.email.transit import Transit
from workers.context import JobContext
from workers.download_links import download_links
from workers.handlers import handles
from workers.outcomes import FailForGood

BATCH_SIZE: Final = 10
BATCH_DELAY: Final = 1000
"""Milliseconds, as are those of the contract."""
NOTIFICATION_SIZE: Final = 5
NOTIFICATION_DELAY: Final = 500

Sender = Annotated[MailSender, TaskiqDepends(mail_sender)]
Links = Annotated[DownloadLinks, TaskiqDepends(download_links)]
Writer = Annotated[Composer, TaskiqDepends(composer)]


@handles(EmailSend)
async def send(payload: EmailSend, job: JobContext, sender: Sender, writer: Writer) -> EmailSendResult:
    began = time.monotonic()
    await job.progress(10, "composing")
    mail = await writer.compose(draft_of(payload), job.job_id)
    transit = Transit.resume(mail, job.checkpoint_data)
    await job.progress(30, "sending")
    try:
        await transit.push(sender)
    except MailDelayedError:
        if not transit.accepted:
            raise
        if job.attempt < job.max_attempts:
            await job.checkpoint(transit.pack())
            raise
        transit.give_up()
    await job.progress(80, "sent")
    return EmailSendResult(
        success=True,
        message_id=mail.message_id,
        processing_time_ms=(time.monotonic() - began) * 1000,
        recipient=", ".join(transit.accepted),
        response=transit.response,
        rejected=[f"{recipient}: {reason}" for recipient, reason in transit.refused.items()],
    )


@handles(EmailBatch)
async def batch(payload: EmailBatch, job: JobContext, sender: Sender, writer: Writer) -> EmailBatchResult:
    await job.progress(5, "starting")
    options = payload.options

    def draft(place: int) -> Draft:
        email = payload.emails[place]
        if problems := check(email, f"emails[{place}]"):
            raise MailInvalidError("; ".join(f"{problem.field}: {problem.description}" for problem in problems))
        return draft_of(email)

    plan = Plan(
        total=len(payload.emails),
        draft=draft,
        recipient=lambda place: ", ".join(payload.emails[place].to),
        size=options.batch_size or BATCH_SIZE,
        delay=(options.delay if options.HasField("delay") else BATCH_DELAY) / 1000,
        span=(10, 90),
    )
    mails = Batch(job, sender, writer, plan)
    results = await mails.run()
    await job.progress(95, "done")
    successful = succeeded(results)
    return EmailBatchResult(
        total=len(results),
        successful=successful,
        failed=len(results) - successful,
        results=results,
        processing_time_ms=mails.elapsed,
    )


@handles(EmailWelcome)
async def welcome(payload: EmailWelcome, job: JobContext, sender: Sender, writer: Writer) -> EmailWelcomeResult:
    user = payload.user
    variables = {
        "name": display_name(user),
        "username": user.username,
        "email": user.email,
        "department": user.department,
        "role": user.role,
    }
    draft = Draft([user.email], template="welcome", variables=variables)
    transit = await _send_template(draft, job, sender, writer)
    return EmailWelcomeResult(success=True, message_id=transit.mail.message_id, response=transit.response)


@handles(EmailSubmissionNotification)
async def submission_notification(
    payload: EmailSubmissionNotification, job: JobContext, sender: Sender, writer: Writer
) -> EmailSubmissionNotificationResult:
    if not payload.recipients:
        return EmailSubmissionNotificationResult(skipped=True, reason="No recipients")
    await job.progress(10, "composing")
    submission, form = payload.submission, payload.form
    variables = {
        "formTitle": form.title,
        "formVersion": form.version or "1.0",
        "submissionId": submission.id,
        "submittedBy": submission.submitted_by_name or "Anonymous",
        "submittedAt": _moment(submission.created_at) if submission.HasField("created_at") else datetime.now(UTC),
        "hasAttachments": submission.has_attachments,
    }
    plan = Plan(
        total=len(payload.recipients),
        draft=lambda place: Draft([payload.recipients[place].email], template="form-submission", variables=variables),
        recipient=lambda place: payload.recipients[place].email,
        size=NOTIFICATION_SIZE,
        delay=NOTIFICATION_DELAY / 1000,
        span=(50, 99),
    )
    await job.progress(30, "sending")
    mails = Batch(job, sender, writer, plan)
    results = await mails.run()
    successful = succeeded(results)
    if not successful:
        reasons = {result.recipient: result.error for result in results}
        raise MailRefusedError(f"nobody could be told: {listed(reasons)}")
    return EmailSubmissionNotificationResult(
        total=len(results),
        successful=successful,
        failed=len(results) - successful,
        results=results,
        processing_time_ms=mails.elapsed,
    )


@handles(EmailPasswordReset)
async def password_reset(
    payload: EmailPasswordReset, job: JobContext, sender: Sender, writer: Writer
) -> EmailPasswordResetResult:
    expires_at = _moment(payload.expire_time)
    if expires_at <= datetime.now(UTC):
        raise FailForGood(f"the token expired at {expires_at:%Y-%m-%d %H:%M:%S} UTC; a mail with it would help nobody")
    variables = {
        "name": display_name(payload.user),
        "resetToken": payload.reset_token,
        "expiresAt": expires_at,
    }
    draft = Draft([payload.user.email], template="password-reset", variables=variables)
    transit = await _send_template(draft, job, sender, writer)
    return EmailPasswordResetResult(success=True, message_id=transit.mail.message_id, response=transit.response)


@handles(EmailExportNotification)
async def export_notification(
    payload: EmailExportNotification, job: JobContext, sender: Sender, writer: Writer, links: Links
) -> EmailExportNotificationResult:
    info = payload.export_info
    variables = {
        "name": display_name(payload.user),
        "exportType": info.type,
        "fileFormat": info.format,
        "recordsCount": int(info.records_count),
        "fileSize": info.file_size,
        "generatedAt": _moment(info.generate_time) if info.HasField("generate_time") else datetime.now(UTC),
        "downloadUrl": await _signed(info.file, links, job) if info.HasField("file") else info.download_url,
    }
    draft = Draft([payload.user.email], template="export-ready", variables=variables)
    transit = await _send_template(draft, job, sender, writer)
    return EmailExportNotificationResult(success=True, message_id=transit.mail.message_id, response=transit.response)


async def _signed(file: EmailExportFile, links: DownloadLinks, job: JobContext) -> str:
    """The file's address with a token that is good as long as the file is there."""
    expires = _moment(file.expire_time)
    if expires <= datetime.now(UTC):
        raise FailForGood(
            f"the file was removed at {expires:%Y-%m-%d %H:%M:%S} UTC; a mail with its link would help nobody"
        )
    token = await links.sign(file.job.queue_name, file.job.job_id, file.sha256, int(expires.timestamp()))
    return download_url(job.settings.api_url, file.job.queue_name, file.job.job_id, token)


def display_name(user: EmailUser) -> str:
    """How a mail addresses the user: by the given name, else the login name, else the address."""
    return user.first_name or user.username or _mailbox(user.email)


async def _send_template(draft: Draft, job: JobContext, sender: MailSender, writer: Composer) -> Transit:
    """Sends a template to one user."""
    await job.progress(20, "composing")
    transit = Transit(await writer.compose(draft, job.job_id))
    await job.progress(50, "sending")
    await transit.push(sender)
    return transit


def _mailbox(text: str) -> str:
    try:
        return parse_address(text).mailbox
    except AddressError:
        return text


def _moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)
