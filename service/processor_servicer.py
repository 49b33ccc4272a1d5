"""ProcessorService: the common tasks as typed calls, each one job with the priority that the task deserves."""

from typing import Final, Protocol, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats
from qcollector.jobs.v1.email_pb2 import EmailPasswordReset, EmailSubmissionNotification, EmailWelcome
from qcollector.jobs.v1.export_pb2 import ExportFormSubmissions
from qcollector.jobs.v1.file_pb2 import FileImageProcess
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.processor_service_pb2 import (
    CalculateFormStatsRequest,
    CalculateFormStatsResponse,
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

from service.enqueued import EnqueuedMessage, enqueued_view
from service.parts import Calls, Context

WELCOME_PRIORITY: Final = 5
NOTIFICATION_PRIORITY: Final = 7
PASSWORD_RESET_PRIORITY: Final = 8
IMAGE_PRIORITY: Final = 4
EXPORT_PRIORITY: Final = 3
CLEANUP_PRIORITY: Final = 6
STATS_PRIORITY: Final = 2

Response = TypeVar("Response", bound=EnqueuedMessage)


class Request(Protocol):
    """What every request of this service has."""

    request_id: str

    @property
    def options(self) -> JobOptions: ...


class ProcessorServicer(Calls, ProcessorServiceServicer):
    """Every call of ProcessorService."""

    async def SendWelcomeEmail(self, request: SendWelcomeEmailRequest, _context: Context) -> SendWelcomeEmailResponse:
        payload = JobPayload(email_welcome=EmailWelcome(user=request.user))
        return await self._enqueue(SendWelcomeEmailResponse, request, payload, WELCOME_PRIORITY)

    async def SendSubmissionNotification(
        self, request: SendSubmissionNotificationRequest, _context: Context
    ) -> SendSubmissionNotificationResponse:
        notification = EmailSubmissionNotification(
            submission=request.submission, form=request.form, recipients=request.recipients
        )
        payload = JobPayload(email_submission_notification=notification)
        return await self._enqueue(SendSubmissionNotificationResponse, request, payload, NOTIFICATION_PRIORITY)

    async def SendPasswordResetEmail(
        self, request: SendPasswordResetEmailRequest, _context: Context
    ) -> SendPasswordResetEmailResponse:
        reset = EmailPasswordReset(user=request.user, reset_token=request.reset_token, expire_time=request.expire_time)
        payload = JobPayload(email_password_reset=reset)
        expiry = request.expire_time
        return await self._enqueue(SendPasswordResetEmailResponse, request, payload, PASSWORD_RESET_PRIORITY, expiry)

    async def ProcessImageUpload(
        self, request: ProcessImageUploadRequest, _context: Context
    ) -> ProcessImageUploadResponse:
        image = FileImageProcess(file_path=request.file_path, output_dir=request.output_dir)
        if request.HasField("image"):
            image.options.CopyFrom(request.image)
        payload = JobPayload(file_image_process=image)
        return await self._enqueue(ProcessImageUploadResponse, request, payload, IMAGE_PRIORITY)

    async def ExportFormSubmissions(
        self, request: ExportFormSubmissionsRequest, _context: Context
    ) -> ExportFormSubmissionsResponse:
        export = ExportFormSubmissions(form_id=request.form_id, format=request.format)
        if request.HasField("date_range"):
            export.date_range.CopyFrom(request.date_range)
        if request.HasField("export"):
            export.options.CopyFrom(request.export)
        payload = JobPayload(export_form_submissions=export)
        return await self._enqueue(ExportFormSubmissionsResponse, request, payload, EXPORT_PRIORITY)

    async def CalculateFormStats(
        self, request: CalculateFormStatsRequest, _context: Context
    ) -> CalculateFormStatsResponse:
        stats = AnalyticsFormStats(form_id=request.form_id)
        if request.HasField("date_range"):
            stats.date_range.CopyFrom(request.date_range)
        payload = JobPayload(analytics_form_stats=stats)
        return await self._enqueue(CalculateFormStatsResponse, request, payload, STATS_PRIORITY)

    async def TriggerSystemCleanup(
        self, request: TriggerSystemCleanupRequest, _context: Context
    ) -> TriggerSystemCleanupResponse:
        payload = JobPayload(system_cleanup=SystemCleanup(tasks=request.tasks))
        return await self._enqueue(TriggerSystemCleanupResponse, request, payload, CLEANUP_PRIORITY)

    async def _enqueue(
        self,
        kind: type[Response],
        request: Request,
        payload: JobPayload,
        priority: int,
        expiry: Timestamp | None = None,
    ) -> Response:
        options = JobOptions()
        options.CopyFrom(request.options)
        options.priority = options.priority or priority
        if expiry is not None and not options.HasField("expire_at"):
            options.expire_at.CopyFrom(expiry)
        return enqueued_view(kind, await self.parts.enqueuer.enqueue_payload(payload, options, request.request_id))
