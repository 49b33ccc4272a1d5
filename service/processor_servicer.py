"""ProcessorService: the common tasks as typed calls, each one job with the priority that the task deserves."""

from typing import Final

from qcollector.jobs.v1.email_pb2 import EmailPasswordReset, EmailSubmissionNotification, EmailWelcome
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.processor_service_pb2 import (
    EnqueuedJob,
    SendPasswordResetEmailRequest,
    SendPasswordResetEmailResponse,
    SendSubmissionNotificationRequest,
    SendSubmissionNotificationResponse,
    SendWelcomeEmailRequest,
    SendWelcomeEmailResponse,
)
from qcollector.jobs.v1.processor_service_pb2_grpc import ProcessorServiceServicer

from service.parts import Calls, Context

WELCOME_PRIORITY: Final = 5
NOTIFICATION_PRIORITY: Final = 7
PASSWORD_RESET_PRIORITY: Final = 8


class ProcessorServicer(Calls, ProcessorServiceServicer):
    """Every call of ProcessorService."""

    async def SendWelcomeEmail(self, request: SendWelcomeEmailRequest, _context: Context) -> SendWelcomeEmailResponse:
        payload = JobPayload(email_welcome=EmailWelcome(user=request.user))
        return SendWelcomeEmailResponse(job=await self._enqueue(payload, request.options, WELCOME_PRIORITY))

    async def SendSubmissionNotification(
        self, request: SendSubmissionNotificationRequest, _context: Context
    ) -> SendSubmissionNotificationResponse:
        notification = EmailSubmissionNotification(
            submission=request.submission, form=request.form, recipients=request.recipients
        )
        payload = JobPayload(email_submission_notification=notification)
        job = await self._enqueue(payload, request.options, NOTIFICATION_PRIORITY)
        return SendSubmissionNotificationResponse(job=job)

    async def SendPasswordResetEmail(
        self, request: SendPasswordResetEmailRequest, _context: Context
    ) -> SendPasswordResetEmailResponse:
        reset = EmailPasswordReset(user=request.user, reset_token=request.reset_token, expires_at=request.expires_at)
        options = JobOptions()
        options.CopyFrom(request.options)
        if not options.HasField("expire_at"):
            options.expire_at.CopyFrom(request.expires_at)
        job = await self._enqueue(JobPayload(email_password_reset=reset), options, PASSWORD_RESET_PRIORITY)
        return SendPasswordResetEmailResponse(job=job)

    async def _enqueue(self, payload: JobPayload, asked: JobOptions, priority: int) -> EnqueuedJob:
        options = JobOptions()
        options.CopyFrom(asked)
        options.priority = asked.priority or priority
        admitted, enqueued = await self.parts.enqueuer.enqueue_payload(payload, options)
        return EnqueuedJob(
            job_id=enqueued.id,
            queue_name=admitted.type.queue,
            job_type=admitted.type.type,
            state=enqueued.state.proto,
            duplicate=enqueued.duplicate,
        )
