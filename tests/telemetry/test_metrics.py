"""What Prometheus is told: of what, by which names, and with the right numbers."""

import asyncio
import gzip
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.email_pb2 import EmailSend
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_actions_pb2 import CancelJobRequest
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest, WatchJobRequest
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.queue_requests_pb2 import PauseQueueRequest, ResumeQueueRequest
from testjobs.v1.testjobs_pb2 import Noop, Script, Step

from base.settings import PROJECT, Settings
from base.telemetry.instruments import Instruments
from contract.admission import Admission
from contract.catalog import Catalog
from engine.claims import Claims
from engine.firing import Firing
from engine.intake import Intake
from engine.schedules import Schedules
from engine.store import Store
from stack.ports import free_port
from tests.conftest import eventually
from tests.service.conftest import WORK, Caller, refused, serving
from tests.telemetry.conftest import PROCESSES, Processes
from tests.telemetry.exposed import Page, fetch
from workers.schedule_metrics import ScheduleMetrics

DOCUMENT = PROJECT / "docs" / "metrics.md"
SECTIONS = {
    "Of the service": {"service"},
    "Of workers": {"worker"},
    "Of schedulers": {"scheduler"},
    "Of workers and schedulers": {"worker", "scheduler"},
    "Of all": set(PROCESSES),
}


def documented() -> dict[str, tuple[set[str], str, set[str]]]:
    """By metric: the processes that have it, its type, its labels."""
    found = {}
    for section in DOCUMENT.read_text("utf-8").split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        for name, kind, labels in re.findall(r"^\| `(qjobs_\w+)` \| (\w+) \| ([\w, ]*)\|", body, re.MULTILINE):
            found[name] = (SECTIONS[title], kind, {label.strip() for label in labels.split(",") if label.strip()})
    return found


async def run(caller: Caller, payload: Any, **options: Any) -> str:
    """The id of a job that has ended."""
    job_id = await caller.enqueue(payload, **options)
    await caller.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=job_id, wait_seconds=30))
    return job_id


@pytest.mark.families
async def test_each_process_exposes_what_is_documented_and_nothing_else_of_ours(
    processes: Processes, caller: Caller
) -> None:
    await run(caller, Noop())
    exposed: dict[str, tuple[set[str], str]] = {}
    labels: dict[str, set[str]] = {}
    for process in PROCESSES:
        page = processes.page(process)
        for name, kind in page.types.items():
            if name.startswith("qjobs_"):
                exposed.setdefault(name, (set(), kind))[0].add(process)
        for name, found in page.labels.items():
            labels.setdefault(name, set()).update(found)
        assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= set(page.types)
    assert exposed == {name: (where, kind) for name, (where, kind, _) in documented().items()}
    for name, (_, _, expected) in documented().items():
        assert labels.get(name, expected) == expected, name


async def test_attempts_are_counted_by_queue_type_and_outcome_with_their_durations(
    processes: Processes, caller: Caller
) -> None:
    before = processes.page("worker")
    for _ in range(3):
        await run(caller, Noop())
    await run(caller, Script(steps=[Step(fail_times=1), Step(sleep=120)]), attempts=2)
    await run(caller, Script(steps=[Step(fail_for_good="no")]))
    await run(caller, Script(steps=[Step(fail_times=9)]), attempts=1)
    stays = await caller.enqueue(Script(steps=[Step(sleep=60_000)]))

    def runs() -> bool:
        return processes.page("worker").value("qjobs_worker_jobs_running", queue=WORK) == 1

    await eventually(runs, what="the job runs")
    await caller.jobs.CancelJob(CancelJobRequest(queue_name=WORK, job_id=stays))

    def counted() -> bool:
        name, labels = "qjobs_attempts_total", {"queue": WORK, "type": "script", "outcome": "cancelled"}
        return processes.page("worker").value(name, **labels) > before.value(name, **labels)

    await eventually(counted, what="the cancelled job is counted")
    after = processes.page("worker")

    def more(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    script = {"queue": WORK, "type": "script"}
    assert more("qjobs_attempts_total", queue=WORK, type="noop", outcome="completed") == 3
    outcomes = ("completed", "retried", "failed", "cancelled", "lost")
    assert [more("qjobs_attempts_total", **script, outcome=outcome) for outcome in outcomes] == [1, 1, 2, 1, 0]
    assert more("qjobs_leases_lost_total", queue=WORK) == 0
    assert more("qjobs_job_run_seconds_count", queue=WORK, type="noop") == 3
    assert more("qjobs_job_run_seconds_bucket", **script, le="0.1") <= 4
    assert more("qjobs_job_run_seconds_sum", **script) >= 0.12
    assert more("qjobs_job_wait_seconds_count", **script) == 5
    assert after.value("qjobs_worker_slots", queue=WORK) == 50
    assert after.value("qjobs_pool_connections", pool="store", state="busy") >= 1
    assert after.total("qjobs_pool_connections", pool="heartbeat") >= 1


async def test_a_lease_that_ran_out_is_counted_as_lost(
    processes: Processes, caller: Caller, settings: Settings, catalog: Catalog
) -> None:
    before = processes.page("worker")
    store = await Store.open(settings.model_copy(update={"redis_key_prefix": processes.told["REDIS_KEY_PREFIX"]}))
    job_id = await caller.enqueue(Script(steps=[Step(sleep=300)]))

    async def stalled() -> bool:
        """Whether the job was found with a lease that has run out, which is what is made of it here."""
        await store.client.zadd(store.keys(WORK)["active"], {job_id: 1}, xx=True)
        return bool((await Claims(store, catalog.queue(WORK), "test", settings).reap()).stalled)

    await eventually(stalled)
    await store.close()

    def lost() -> float:
        return processes.page("worker").value("qjobs_leases_lost_total", queue=WORK)

    await eventually(lambda: lost() > before.value("qjobs_leases_lost_total", queue=WORK), what="the loss counts")


async def test_the_service_tells_what_the_queues_hold(processes: Processes, caller: Caller) -> None:
    before = processes.page("service")
    await run(caller, Noop())
    await caller.jobs.PauseQueue(PauseQueueRequest(queue_name=WORK))
    try:
        await caller.enqueue(Noop(), job_id="kept-waiting")
        await caller.enqueue(Noop(), job_id="kept-waiting")
        await caller.enqueue(Noop(), delay=60_000)
        await eventually(lambda: processes.page("service").value("qjobs_queue_jobs", queue=WORK, state="waiting") == 1)
        page = processes.page("service")
        assert page.value("qjobs_queue_paused", queue=WORK) == 1
        assert page.value("qjobs_queue_jobs", queue=WORK, state="delayed") == 1
        assert 0 < page.value("qjobs_queue_oldest_waiting_seconds", queue=WORK) < 60
        assert page.value("qjobs_queue_workers", queue=WORK) == 1
        assert page.value("qjobs_queue_slots", queue=WORK) == 50
        assert page.value("qjobs_queue_backlog_max") == 1_000_000
    finally:
        await caller.jobs.ResumeQueue(ResumeQueueRequest(queue_name=WORK))

    def ended() -> bool:
        name, labels = "qjobs_queue_jobs_ended_total", {"queue": WORK, "state": "completed"}
        return processes.page("service").value(name, **labels) - before.value(name, **labels) == 2

    await eventually(ended, what="the waiting job has run")

    def enqueued(result: str) -> float:
        name, labels = "qjobs_jobs_enqueued_total", {"queue": WORK, "type": "noop", "result": result}
        return processes.page("service").value(name, **labels) - before.value(name, **labels)

    assert (enqueued("stored"), enqueued("duplicate")) == (3, 1)


async def test_jobs_that_are_set_aside_are_counted(processes: Processes, settings: Settings) -> None:
    def exposed() -> float:
        return processes.page("service").value("qjobs_queue_set_aside_jobs", queue=WORK)

    assert exposed() == 0
    store = await Store.open(settings.model_copy(update={"redis_key_prefix": processes.told["REDIS_KEY_PREFIX"]}))
    await store.client.zadd(store.keys(WORK)["parked"], {"a": 1, "b": 2})
    try:
        await eventually(lambda: exposed() == 2, what="both are counted")
    finally:
        await store.client.delete(store.keys(WORK)["parked"])
        await store.close()


async def test_calls_are_counted_by_method_and_code_and_refusals_by_reason(
    processes: Processes, caller: Caller
) -> None:
    before = processes.page("service")
    job_id = await caller.enqueue(Noop(), delay=60_000)
    for _ in range(2):
        await refused(caller.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id="no-such-job")))
    watching = caller.jobs.WatchJob(WatchJobRequest(queue_name=WORK, job_id=job_id))
    await watching.read()
    after = processes.page("service")
    assert after.value("qjobs_grpc_calls_open", method="WatchJob") == 1
    watching.cancel()
    await eventually(lambda: processes.page("service").value("qjobs_grpc_calls_open", method="WatchJob") == 0)

    def more(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert more("qjobs_grpc_calls_total", method="EnqueueJob", code="OK") == 1
    assert more("qjobs_grpc_calls_total", method="GetJob", code="NOT_FOUND") == 2
    assert more("qjobs_grpc_refusals_total", reason="JOB_NOT_FOUND") == 2
    assert more("qjobs_grpc_call_duration_seconds_count", method="GetJob") == 2


@pytest.mark.families
async def test_mails_are_counted_by_what_the_mail_server_said(processes: Processes, caller: Caller) -> None:
    before = processes.page("worker")
    mail = JobPayload(email_send=EmailSend(to=["a@example.com", "b@example.com"], subject="s", text="t"))
    answer = await caller.jobs.EnqueueJob(EnqueueJobRequest(payload=mail))
    await caller.jobs.GetJob(GetJobRequest(queue_name="email:send", job_id=answer.job_id, wait_seconds=30))
    await eventually(lambda: processes.page("worker").total("qjobs_smtp_mails_total") > 0)
    after = processes.page("worker")
    assert after.value("qjobs_smtp_mails_total", outcome="accepted") >= 1
    recipients = after.value("qjobs_smtp_recipients_total", outcome="accepted")
    assert recipients - before.value("qjobs_smtp_recipients_total", outcome="accepted") == 2
    assert after.value("qjobs_smtp_connections_opened_total", result="opened") >= 1
    assert after.value("qjobs_smtp_conversation_duration_seconds_count", outcome="accepted") >= 1
    assert after.value("qjobs_pool_connections", pool="smtp", state="idle") >= 1


async def test_the_scheduler_tells_when_it_looked_and_that_nothing_is_overdue(
    processes: Processes, caller: Caller
) -> None:
    assert caller
    assert time.time() - processes.page("scheduler").value("qjobs_scheduler_last_look_timestamp_seconds") < 30
    assert processes.page("service").value("qjobs_schedule_overdue_seconds") < 30


async def test_late_slots_are_overdue_until_they_are_fired_then_counted_with_what_was_missed(
    settings: Settings, store: Store, catalog: Catalog
) -> None:
    schedules = Schedules(store)
    firing = Firing(store, schedules, catalog, Admission(catalog, settings), Intake(store, settings))
    record = ScheduleRecord(name="often", cron="* * * * *", timezone="UTC", queue_name=WORK, job_type="noop")
    await schedules.create(record)
    assert (await schedules.condition()).overdue == {}
    made = int(await store.client.hget(store.keys("schedules")["slots"], "often"))
    await store.client.hset(store.keys("schedules")["slots"], "often", str(made - 300_000))
    assert 240 <= (await schedules.condition()).overdue["often"] <= 300
    instruments, metrics = Instruments("scheduler"), ScheduleMetrics()
    metrics.expose(instruments)
    await firing.fire_due(metrics.fired)
    assert (await schedules.condition()).overdue == {}
    page = Page(generate_latest(instruments.registry).decode())
    labels = {"queue": WORK, "type": "noop"}
    assert page.value("qjobs_schedule_fires_total", **labels) == 1
    assert page.value("qjobs_schedule_slots_missed_total", **labels) == 4
    assert 0 <= page.value("qjobs_schedule_lag_seconds_sum") < 60


# The port


async def test_the_port_answers_probes_compresses_and_refuses_the_rest(processes: Processes, caller: Caller) -> None:
    assert caller
    for process in PROCESSES:
        port = processes.ports[process]
        assert fetch(port, "/healthz")[:2] == (200, b"ok\n")
        assert fetch(port, "/readyz")[:2] == (200, b"ok\n")
        status, body, headers = fetch(port, "/metrics", {"Accept-Encoding": "gzip"})
        assert (status, headers["Content-Encoding"]) == (200, "gzip")
        assert b"qjobs_build_info" in gzip.decompress(body)
        assert fetch(port, "/metrics", {"Accept": "application/openmetrics-text"})[1].endswith(b"# EOF\n")
        assert fetch(port, "/")[0] == 404
        assert fetch(port, "/../etc/passwd")[0] == 404


async def test_a_caller_that_says_nothing_holds_up_nobody(processes: Processes, caller: Caller) -> None:
    assert caller
    port = processes.ports["worker"]
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(6)]
    try:
        assert fetch(port, "/healthz")[0] == 200
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.parametrize("name", PROCESSES)
async def test_a_taken_port_stops_the_start_with_cause_and_remedy(
    processes: Processes, caller: Caller, tmp_path: Path, name: str
) -> None:
    assert caller
    second = Processes(tmp_path, {**processes.told, "GRPC_PORT": str(free_port(avoid=processes.taken))})
    process = second.start(name, METRICS_PORT=processes.ports["scheduler"])
    try:
        assert process.wait(30) == 2
    finally:
        second.end()
    told = second.log(name).read_text()
    assert f"METRICS_PORT: 127.0.0.1:{processes.ports['scheduler']} cannot be bound" in told
    assert "set another METRICS_PORT" in told
    assert "Traceback" not in told


async def test_without_a_store_the_service_still_tells_of_itself(settings: Settings) -> None:
    async with serving(settings, redis_url=None, redis_port=1, metrics_port=free_port()) as service:
        status, body, _ = await asyncio.to_thread(fetch, service.service.metrics_port, "/metrics")
        assert status == 200
        assert b"qjobs_store_up 0.0" in body
        assert b"qjobs_queue_jobs" not in body
        assert (await asyncio.to_thread(fetch, service.service.metrics_port, "/readyz"))[0] == 200


async def test_the_tasks_of_the_event_loop_are_told_until_they_have_ended() -> None:
    instruments = Instruments("scheduler")

    async def tasks() -> float:
        """As the thread that answers Prometheus counts them."""
        page = Page((await asyncio.to_thread(generate_latest, instruments.registry)).decode())
        return page.value("qjobs_event_loop_tasks")

    before, end = await tasks(), asyncio.Event()
    waiting = asyncio.create_task(end.wait())
    assert await tasks() == before + 1
    end.set()
    await waiting
    assert await tasks() == before
