"""ProcessorService: the common tasks as typed calls, each one job with the priority that the task deserves."""

from typing import Final

from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats
from qcollector.jobs.v1.email_pb2 import EmailPasswordReset, EmailSubmissionNotification, EmailWelcome
from qcollector.jobs.v1.export_pb2 import ExportFormSubmissions
from qcollector.jobs.v1.file_pb2 import FileImageProcess
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.processor_service_pb2 import (
    CalculateFormStatsRequest,
    CalculateFormStatsResponse,
    EnqueuedJob,
    ExportFormSubmissionsRequest,
    ExportFormSubmissionsResponse,
    ProcessImageUploadRequest,
    ProcessImageUploadResponse,
    SendPasswordResetEmailRequest,
    SendPasswordResetEmailResponse,
    SendSubmissionNotificationRequest,
    SendSubmissionNotificationResponse,
    SendWelcomeEmailRequest,
    SendWelcomeEmailResponse,
    TriggerSystemCleanupRequest,
    TriggerSystemCleanupResponse,
)
from qcollector.jobs.v1.processor_service_pb2_grpc import ProcessorServiceServicer
from qcollector.jobs.v1.system_pb2 import SystemCleanup

from service.parts import Calls, Context

WELCOME_PRIORITY: Final = 5
NOTIFICATION_PRIORITY: Final = 7
PASSWORD_RESET_PRIORITY: Final = 8
IMAGE_PRIORITY: Final = 4
EXPORT_PRIORITY: Final = 3
CLEANUP_PRIORITY: Final = 6
STATS_PRIORITY: Final = 2


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
        reset = EmailPasswordReset(user=request.user, reset_token=request.reset_token, expire_time=request.expire_time)
        options = JobOptions()
        options.CopyFrom(request.options)
        if not options.HasField("expire_at"):
            options.expire_at.CopyFrom(request.expire_time)
        job = await self._enqueue(JobPayload(email_password_reset=reset), options, PASSWORD_RESET_PRIORITY)
        return SendPasswordResetEmailResponse(job=job)

    async def ProcessImageUpload(
        self, request: ProcessImageUploadRequest, _context: Context
    ) -> ProcessImageUploadResponse:
        image = FileImageProcess(file_path=request.file_path, output_dir=request.output_dir)
        if request.HasField("image"):
            image.options.CopyFrom(request.image)
        job = await self._enqueue(JobPayload(file_image_process=image), request.options, IMAGE_PRIORITY)
        return ProcessImageUploadResponse(job=job)

    async def ExportFormSubmissions(
        self, request: ExportFormSubmissionsRequest, _context: Context
    ) -> ExportFormSubmissionsResponse:
        export = ExportFormSubmissions(form_id=request.form_id, format=request.format)
        if request.HasField("date_range"):
            export.date_range.CopyFrom(request.date_range)
        if request.HasField("export"):
            export.options.CopyFrom(request.export)
        job = await self._enqueue(JobPayload(export_form_submissions=export), request.options, EXPORT_PRIORITY)
        return ExportFormSubmissionsResponse(job=job)

    async def CalculateFormStats(
        self, request: CalculateFormStatsRequest, _context: Context
    ) -> CalculateFormStatsResponse:
        stats = AnalyticsFormStats(form_id=request.form_id)
        if request.HasField("date_range"):
            stats.date_range.CopyFrom(request.date_range)
        job = await self._enqueue(JobPayload(analytics_form_stats=stats), request.options, STATS_PRIORITY)
        return CalculateFormStatsResponse(job=job)

    async def TriggerSystemCleanup(
        self, request: TriggerSystemCleanupRequest, _context: Context
    ) -> TriggerSystemCleanupResponse:
        payload = JobPayload(system_cleanup=SystemCleanup(tasks=request.tasks))
        return TriggerSystemCleanupResponse(job=await self._enqueue(payload, request.options, CLEANUP_PRIORITY))

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
