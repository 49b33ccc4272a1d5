"""One trace from an application to the mail that its job sends, through real processes to a real collector."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from base.settings import PROJECT
from base.telemetry.tracing import CLOSE_SECONDS
from tests.conftest import ValkeyServer, until
from tests.gateway.front import running_envoy, running_service, token
from tests.tracing.collector import collecting_over_http
from tests.tracing.conftest import HEADERS, Traced

ENQUEUE = "qcollector.jobs.v1.JobService/EnqueueJob"
WELCOME = "process email:send/welcome"
SCRIPT = "process test:work/script"
KEPT_OUT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def enqueue(traced: Traced, job_type: str, data: dict[str, object], **headers: str) -> str:
    queue = "test:work" if job_type == "script" else "email:send"
    body = {"queueName": queue, "jobType": job_type, "data": data, "options": {"attempts": 2}}
    answer = traced.front.call("POST", "jobs", body, **headers)
    assert answer.status == 200, answer.text
    return str(answer.json["jobId"])


def ended(traced: Traced, job_id: str, queue: str = "test:work") -> None:
    assert traced.front.call("GET", f"{queue}/jobs/{job_id}?waitSeconds=30").status == 200


def test_one_trace_goes_from_the_application_through_envoy_and_the_service_to_the_worker_and_the_mail(
    traced: Traced,
) -> None:
    application = subprocess.run(
        [sys.executable, "-m", "tests.tracing.application", f"127.0.0.1:{traced.front.rest}"],
        env={**traced.told, "OTEL_SERVICE_NAME": "shop", "TOKEN": token("super_admin")},
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert application.returncode == 0, application.stderr
    (first,) = traced.collector.wait_for("sign up")
    (mail,) = traced.collector.wait_for("smtp send", trace=first.trace)
    assert [(span.service, span.name, span.kind) for span in traced.collector.way_to(mail)] == [
        ("shop", "sign up", "INTERNAL"),
        ("shop", f"/{ENQUEUE}", "CLIENT"),
        ("qjobs-envoy", f"/{ENQUEUE}", "SERVER"),
        ("qjobs-service", ENQUEUE, "SERVER"),
        ("qjobs-worker", WELCOME, "CONSUMER"),
        ("qjobs-worker", "smtp send", "CLIENT"),
    ]
    assert mail.attributes["qjobs.mail.accepted"] == 1
    assert not any(span.failed for span in traced.collector.spans(first.trace))


def test_envoy_begins_a_trace_for_a_caller_without_one_and_the_job_and_its_log_know_it(traced: Traced) -> None:
    job_id = enqueue(traced, "script", {"steps": [{"sleep": 1}]})
    (job,) = traced.collector.wait_for(SCRIPT, job=job_id)
    assert [(span.service, span.name) for span in traced.collector.way_to(job)] == [
        ("qjobs-envoy", f"/{ENQUEUE}"),
        ("qjobs-service", ENQUEUE),
        ("qjobs-worker", SCRIPT),
    ]
    assert job.attributes["qjobs.job.outcome"] == "complete"
    assert job.attributes["messaging.destination.name"] == "test:work"
    logged = [
        json.loads(line) for line in (Path(traced.told["DATA_DIR"]) / "logs" / "worker.log").read_text().splitlines()
    ]
    assert [line["trace_id"] for line in logged if line.get("job_id") == job_id] == [job.trace]


def test_each_attempt_is_a_span_and_one_that_fails_says_why(traced: Traced) -> None:
    job_id = enqueue(traced, "script", {"steps": [{"failTimes": 1}]})
    ended(traced, job_id)
    attempts = traced.collector.wait_for(SCRIPT, 2, job=job_id)
    assert [(one.attributes["qjobs.job.attempt"], one.failed) for one in attempts] == [(1, True), (2, False)]
    assert len({one.trace for one in attempts}) == 1
    assert attempts[0].message == "attempt 1 was told to fail"


def test_a_span_holds_no_secret_of_the_reason_why_it_failed(traced: Traced) -> None:
    job_id = enqueue(traced, "script", {"steps": [{"failForGood": "no answer from ftp://me:hunter2@host/"}]})
    (job,) = traced.collector.wait_for(SCRIPT, job=job_id)
    assert (job.failed, job.message) == (True, "no answer from ftp://•••@host/")


def test_a_refused_call_is_a_span_with_its_code_and_no_fault_of_the_service(traced: Traced) -> None:
    answer = traced.front.call("POST", "jobs", {"queueName": "no:such", "jobType": "x"}, x_request_id="refused-1")
    assert answer.status == 404
    (call,) = traced.collector.wait_for(ENQUEUE, request="refused-1")
    assert (call.attributes["rpc.grpc.status_code"], call.failed) == (5, False)


def test_a_caller_that_does_not_want_a_trace_gets_none(traced: Traced) -> None:
    without = enqueue(traced, "script", {"steps": [{"sleep": 1}]}, traceparent=KEPT_OUT)
    ended(traced, without)
    traced_after = enqueue(traced, "script", {"steps": [{"sleep": 1}]})
    traced.collector.wait_for(SCRIPT, job=traced_after)
    assert traced.collector.spans(KEPT_OUT[3:35]) == []


def test_every_process_sends_the_headers_and_attributes_that_the_variables_say(traced: Traced) -> None:
    job_id = enqueue(traced, "script", {"steps": [{"sleep": 1}]})
    (job,) = traced.collector.wait_for(SCRIPT, job=job_id)
    traced.collector.way_to(job)
    for process in ("qjobs-envoy", "qjobs-service", "qjobs-worker"):
        assert traced.collector.headers[process]["x-api-key"] == "of the tests"


def test_spans_go_over_http_where_the_variables_say_so(valkey: ValkeyServer, tmp_path: Path) -> None:
    with collecting_over_http() as collector:
        told: dict[str, str | int] = {
            "REDIS_URL": valkey.url,
            "REDIS_KEY_PREFIX": f"tracing-http{os.getpid()}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": HEADERS,
            "OTEL_BSP_SCHEDULE_DELAY": 50,
        }
        with running_service(tmp_path, **told) as (port, _), running_envoy(tmp_path / "envoy", port, **told) as front:
            front.call("GET", "stats", x_request_id="looked")
            (call,) = collector.wait_for("qcollector.jobs.v1.JobService/ListQueueStats", request="looked")
            assert [span.service for span in collector.way_to(call)] == ["qjobs-envoy", "qjobs-service"]
    assert {headers["x-api-key"] for headers in collector.headers.values()} == {"of the tests"}


@pytest.mark.parametrize("answers", [False, True], ids=["refuses", "never answers"])
def test_a_collector_that_is_away_holds_up_neither_calls_nor_the_end(
    valkey: ValkeyServer, tmp_path: Path, answers: bool
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if answers:
            silent.listen()
        told: dict[str, str | int] = {
            "REDIS_URL": valkey.url,
            "REDIS_KEY_PREFIX": f"tracing-away{os.getpid()}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        with (
            running_service(tmp_path, **told) as (port, process),
            running_envoy(tmp_path / "envoy", port, **told) as front,
        ):
            assert front.call("GET", "stats").status == 200
            process.terminate()
            assert process.wait(CLOSE_SECONDS + 8) == 0


def test_nothing_of_tracing_is_imported_unless_it_is_asked_for() -> None:
    looked = imported(f"base.telemetry.tracing.start('service'); print([m for m in sys.modules if m in {TRACING}])")
    assert looked == "[]"


def test_everything_goes_without_opentelemetry_installed_and_asking_for_traces_says_what_is_missing() -> None:
    said = imported(
        """
try:
    base.telemetry.tracing.start('service')
except Exception as error:
    print(error)
""",
        missing=True,
        OTEL_TRACES_EXPORTER="otlp",
    )
    assert "opentelemetry is not installed" in said
    assert "extra `tracing`" in said


TRACING = ("base.telemetry.otel", "opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.instrumentation")
MODULES = (
    "base.telemetry.tracing, service.bootstrap, workers.worker, workers.scheduler, client, cli.session, stack.cli, sys"
)


def imported(then: str, *, missing: bool = False, **told: str) -> str:
    """What a process prints that has imported all there is, where OpenTelemetry may be `missing`."""
    hidden = "import sys; sys.modules['opentelemetry'] = None\n" if missing else ""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.run(
        [sys.executable, "-c", f"{hidden}import {MODULES}\n{then}"],
        env={**bare, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'gen'}", **told},
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return process.stdout.strip()


LINK = "export:data/jobs/any/result?downloadToken"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{LINK}=forged-SECRET", 401),  # by the service
        (f"{LINK}=forged-SECRET&nothing=1", 400),  # by Envoy, before it is transcoded
        ("stats?downloadToken=forged-SECRET", 401),  # by Envoy, before anything
        ("nothing/at/all/here?downloadToken=forged-SECRET", 401),
    ],
)
def test_the_token_of_a_signed_link_is_in_no_log_and_no_span(traced: Traced, path: str, status: int) -> None:
    request_id = f"link-{status}-{len(path)}"
    answer = traced.front.call("GET", path, authorization=None, x_request_id=request_id)
    assert answer.status == status, answer.text
    url = f"http://127.0.0.1:{traced.front.rest}/api/v1/queue/{path.partition('?')[0]}"
    span = until(
        lambda: [one for one in traced.collector.spans() if one.attributes.get("guid:x-request-id") == request_id],
        what=lambda: f"the span of {request_id}: {traced.collector.spans()}",
    )[0]
    assert span.attributes["http.url"] == url
    assert not [one for one in traced.collector.spans() if "SECRET" in repr(one)]
    access_log = Path(traced.told["DATA_DIR"]) / "envoy" / "logs" / "envoy.log"
    line = until(
        lambda: [line for line in access_log.read_text().splitlines() if request_id in line],
        what=access_log.read_text,
    )[0]
    assert json.loads(line)["path"] == url.partition(f":{traced.front.rest}")[2]
    for log in Path(traced.told["DATA_DIR"]).rglob("*"):
        if log.suffix in {".log", ".out"}:
            assert "SECRET" not in log.read_text(errors="replace"), log
