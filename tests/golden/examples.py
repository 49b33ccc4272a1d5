"""One example of every RPC, each with what has to be there before it is called."""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1 import job_service_pb2, processor_service_pb2
from qcollector.jobs.v1.analytics_pb2 import SystemAnalytics
from qcollector.jobs.v1.email_pb2 import EmailWelcomeResult
from qcollector.jobs.v1.queue_pb2 import Worker, WorkerQueue

from engine.kept_results import KeptResults
from engine.presence import Presence
from engine.store import Store
from families.analytics.kept import ANALYTICS
from tests.golden.stage import USER, WORKER, Exchange, Stage

HOUR: Final = 3_600_000
FORM: Final = "f0000000-0000-4000-8000-000000000001"
MAIL: Final = {"queueName": "email:send", "jobType": "welcome", "data": {"user": USER}}
SENT: Final = EmailWelcomeResult(success=True, message_id="<welcome@example.com>", response="250 OK")
NIGHTLY: Final = {"queueName": "system:cleanup", "jobType": "health-check", "data": {"services": ["queue"]}}

Example = Callable[[Stage], Exchange]
EXAMPLES: Final[dict[str, Example]] = {}


def example(rpc: str) -> Callable[[Example], Example]:
    """Declares the example of one RPC."""

    def declare(function: Example) -> Example:
        EXAMPLES[rpc] = function
        return function

    return declare


@example("JobService.GetQueueStats")
def get_queue_stats(stage: Stage) -> Exchange:
    stage.complete("mail-1", SENT)
    return stage.rest("GET", "email:send/stats")


@example("JobService.ListQueueStats")
def list_queue_stats(stage: Stage) -> Exchange:
    return stage.rest("GET", "stats")


@example("JobService.GetDashboard")
def get_dashboard(stage: Stage) -> Exchange:
    return stage.rest("GET", "dashboard")


@example("JobService.CheckHealth")
def check_health(stage: Stage) -> Exchange:
    return stage.rest("GET", "health")


@example("JobService.CheckEmailHealth")
def check_email_health(stage: Stage) -> Exchange:
    return stage.rest("GET", "email/health")


@example("JobService.ListWorkers")
def list_workers(stage: Stage) -> Exchange:
    async def report(store: Store) -> None:
        started = Timestamp()
        started.GetCurrentTime()
        queues = [WorkerQueue(queue_name="email:send", concurrency=5, active=1)]
        await Presence(store).report(
            Worker(id=WORKER, host="mail-host", pid=7, version="1.2.3", start_time=started, queues=queues)
        )

    stage.in_store(report)
    return stage.rest("GET", "workers")


@example("JobService.ListJobTypes")
def list_job_types(stage: Stage) -> Exchange:
    return stage.rest("GET", "job-types")


@example("JobService.GetJob")
def get_job(stage: Stage) -> Exchange:
    return stage.rest("GET", f"email:send/jobs/{stage.complete('mail-2', SENT)}")


@example("JobService.ListJobLogs")
def list_job_logs(stage: Stage) -> Exchange:
    return stage.rest("GET", "email:send/jobs/mail-2/logs")


@example("JobService.DownloadResult")
def download_result(stage: Stage) -> Exchange:
    return stage.rest("GET", "email:send/jobs/mail-2/result")


@example("JobService.WatchJob")
def watch_job(stage: Stage) -> Exchange:
    return stage.rest("GET", "email:send/jobs/mail-2/events")


@example("JobService.WatchQueues")
def watch_queues(stage: Stage) -> Exchange:
    return stage.rest("GET", "events", events=1)


@example("JobService.ListJobs")
def list_jobs(stage: Stage) -> Exchange:
    stage.fail("mail-3")
    return stage.rest("GET", "email:send/jobs?states=JOB_STATE_COMPLETED&states=JOB_STATE_FAILED&pageSize=2")


@example("JobService.RetryJob")
def retry_job(stage: Stage) -> Exchange:
    return stage.rest("POST", "email:send/jobs/mail-3/retry", {"reason": "The mailbox has room again."})


@example("JobService.DeleteJob")
def delete_job(stage: Stage) -> Exchange:
    return stage.rest("DELETE", "email:send/jobs/mail-3?reason=Sent+by+hand.")


@example("JobService.CancelJob")
def cancel_job(stage: Stage) -> Exchange:
    job_id = stage.enqueue("mail-4", delay=HOUR)
    return stage.rest("POST", f"email:send/jobs/{job_id}/cancel", {"reason": "The account is closed."})


@example("JobService.PromoteJob")
def promote_job(stage: Stage) -> Exchange:
    return stage.rest(
        "POST", f"email:send/jobs/{stage.enqueue('mail-5', delay=HOUR)}/promote", {"reason": "It is urgent."}
    )


@example("JobService.EnqueueJob")
def enqueue_job(stage: Stage) -> Exchange:
    return stage.rest("POST", "jobs", {**MAIL, "options": {"priority": 5, "delay": 0}})


@example("JobService.BatchEnqueueJobs")
def batch_enqueue_jobs(stage: Stage) -> Exchange:
    return stage.rest("POST", "jobs:batch", {"jobs": [MAIL, {"queueName": "no:such", "jobType": "welcome"}]})


@example("JobService.StreamEnqueueJobs")
def stream_enqueue_jobs(stage: Stage) -> Exchange:
    method = job_service_pb2.DESCRIPTOR.services_by_name["JobService"].methods_by_name["StreamEnqueueJobs"]
    return stage.grpc(method, {"job": MAIL}, {"job": {"queueName": "no:such", "jobType": "welcome"}})


def _in_bulk(stage: Stage, action: str, body: dict[str, Any]) -> Exchange:
    return stage.rest("POST", f"email:send/jobs:{action}", body)


@example("JobService.BatchPromoteJobs")
def batch_promote_jobs(stage: Stage) -> Exchange:
    job_id = stage.enqueue("bulk-1", delay=HOUR)
    return _in_bulk(stage, "promote", {"jobIds": [job_id, "nobody"], "reason": "The mail server is back."})


@example("JobService.BatchCancelJobs")
def batch_cancel_jobs(stage: Stage) -> Exchange:
    chosen = {"states": ["JOB_STATE_WAITING"], "text": "bulk-1"}
    return _in_bulk(stage, "cancel", {"filter": chosen, "reason": "The campaign is over."})


@example("JobService.BatchRetryJobs")
def batch_retry_jobs(stage: Stage) -> Exchange:
    return _in_bulk(stage, "retry", {"jobIds": ["bulk-1"]})


@example("JobService.BatchDeleteJobs")
def batch_delete_jobs(stage: Stage) -> Exchange:
    return _in_bulk(stage, "delete", {"all": True, "validateOnly": True})


@example("JobService.PauseQueue")
def pause_queue(stage: Stage) -> Exchange:
    return stage.rest("POST", "email:batch/pause", {})


@example("JobService.ResumeQueue")
def resume_queue(stage: Stage) -> Exchange:
    return stage.rest("POST", "email:batch/resume", {})


@example("JobService.CleanQueue")
def clean_queue(stage: Stage) -> Exchange:
    return stage.rest("POST", "email:send/clean", {"grace": 0})


@example("JobService.UpdateQueue")
def update_queue(stage: Stage) -> Exchange:
    return stage.rest("PATCH", "email:batch", {"maxActive": 10, "rate": {"max": 100, "periodMs": 60_000}})


@example("ScheduleService.CreateSchedule")
def create_schedule(stage: Stage) -> Exchange:
    sent = {"name": "nightly", "description": "Looks.", "cron": "0 3 * * *", "timezone": "UTC", "job": NIGHTLY}
    return stage.rest("POST", "/api/v1/schedules", sent)


@example("ScheduleService.GetSchedule")
def get_schedule(stage: Stage) -> Exchange:
    return stage.rest("GET", "/api/v1/schedules/nightly")


@example("ScheduleService.ListSchedules")
def list_schedules(stage: Stage) -> Exchange:
    return stage.rest("GET", "/api/v1/schedules")


@example("ScheduleService.UpdateSchedule")
def update_schedule(stage: Stage) -> Exchange:
    return stage.rest("PATCH", "/api/v1/schedules/nightly", {"cron": "30 3 * * *"})


@example("ScheduleService.TriggerSchedule")
def trigger_schedule(stage: Stage) -> Exchange:
    return stage.rest("POST", "/api/v1/schedules/nightly/trigger", {"requestId": "evening-1"})


@example("ScheduleService.ListScheduleRuns")
def list_schedule_runs(stage: Stage) -> Exchange:
    return stage.rest("GET", "/api/v1/schedules/nightly/runs")


@example("ScheduleService.PauseSchedule")
def pause_schedule(stage: Stage) -> Exchange:
    return stage.rest("POST", "/api/v1/schedules/nightly/pause", {})


@example("ScheduleService.ResumeSchedule")
def resume_schedule(stage: Stage) -> Exchange:
    return stage.rest("POST", "/api/v1/schedules/nightly/resume", {})


@example("ScheduleService.DeleteSchedule")
def delete_schedule(stage: Stage) -> Exchange:
    return stage.rest("DELETE", "/api/v1/schedules/nightly")


@example("ScheduleService.PreviewSchedule")
def preview_schedule(stage: Stage) -> Exchange:
    return stage.rest("POST", "/api/v1/schedules:preview", {"cron": "0 3 * * *", "timezone": "UTC", "count": 2})


@example("AnalyticsService.GetLatestAnalytics")
def get_latest_analytics(stage: Stage) -> Exchange:
    async def keep(store: Store) -> None:
        analytics = SystemAnalytics(period="month", calculate_time=Timestamp(seconds=1_700_000_000))
        await KeptResults(store, ANALYTICS).keep("system-analytics/month", analytics.SerializeToString())

    stage.in_store(keep)
    return stage.rest("GET", "/api/v1/analytics/system-analytics/month")


PROCESSOR: Final[ServiceDescriptor] = processor_service_pb2.DESCRIPTOR.services_by_name["ProcessorService"]
TASKS: Final[dict[str, dict[str, Any]]] = {
    "SendWelcomeEmail": {"user": USER},
    "SendSubmissionNotification": {
        "submission": {"id": "1"},
        "form": {"id": FORM, "title": "Inspection"},
        "recipients": [{"email": "office@example.com"}],
    },
    "SendPasswordResetEmail": {"user": USER, "resetToken": "secret", "expiresAt": "2099-01-01T00:00:00Z"},
    "ProcessImageUpload": {"filePath": "uploads/photo.jpg"},
    "ExportFormSubmissions": {"formId": FORM, "format": "EXPORT_FORMAT_CSV"},
    "CalculateFormStats": {"formId": FORM},
    "TriggerSystemCleanup": {"tasks": [{"type": "SYSTEM_CLEANUP_TASK_TYPE_TEMP_FILES"}]},
}


def _task(name: str) -> Example:
    return lambda stage: stage.grpc(PROCESSOR.methods_by_name[name], TASKS[name])


for _name in TASKS:
    example(f"ProcessorService.{_name}")(_task(_name))
