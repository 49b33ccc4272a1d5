"""The service as a process: how it starts, refuses to start, is found, and stops."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest, StreamEnqueueJobsRequest
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest, WatchJobRequest
from qcollector.jobs.v1.overview_pb2 import ListJobTypesRequest
from qcollector.jobs.v1.queue_requests_pb2 import WatchQueuesRequest

from base.settings import Settings, SettingsError
from service.bootstrap import PLATFORM, running
from service.serving import of_plugins
from tests.conftest import eventually, free_port

from .certificates import self_signed
from .conftest import SECRET, WORK, Caller, Noop, Running, bearer, custom, on_any_port, refused, serving

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


# Probes and reflection

SERVICES = [serving.service.full_name for serving in (*PLATFORM, *of_plugins(()))]


async def test_probes_need_no_token_and_no_store(settings: Settings) -> None:
    async with serving(settings, redis_url=None, redis_port=1) as service:
        probes: Any = health_pb2_grpc.HealthStub(service.channel)
        for name in ("", *SERVICES):
            assert (await probes.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await probes.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def reflected(channel: grpc.aio.Channel) -> set[str]:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([asked])):
        return {service.name for service in answer.list_services_response.service}
    raise AssertionError("no answer")


async def test_reflection_tells_the_services_where_it_is_enabled(service: Running) -> None:
    assert set(SERVICES) | {"grpc.health.v1.Health"} <= await reflected(service.channel)


async def test_reflection_can_be_switched_off(settings: Settings) -> None:
    async with serving(settings, grpc_reflection=False) as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await reflected(service.channel)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


# TLS


async def test_with_a_certificate_only_tls_is_spoken(settings: Settings, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "server")
    tls = on_any_port(settings, grpc_tls_cert=certificate, grpc_tls_key=key)
    async with running(tls) as service:
        address = f"127.0.0.1:{service.port}"
        async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(certificate.read_bytes())) as channel:
            assert (await Caller(channel, bearer()).jobs.ListJobTypes(ListJobTypesRequest())).job_types
        async with grpc.aio.insecure_channel(address) as channel:
            await unreachable(channel)


async def test_with_an_authority_callers_must_show_a_certificate_of_it(settings: Settings, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "server")
    own, own_key = self_signed(tmp_path, "client")
    other, other_key = self_signed(tmp_path, "stranger")
    mutual = on_any_port(settings, grpc_tls_cert=certificate, grpc_tls_key=key, grpc_tls_client_ca=own)

    def credentials(*pair: Path) -> grpc.ChannelCredentials:
        shown = [path.read_bytes() for path in pair] or [None, None]
        return grpc.ssl_channel_credentials(certificate.read_bytes(), shown[1], shown[0])

    async with running(mutual) as service:
        address = f"127.0.0.1:{service.port}"
        async with grpc.aio.secure_channel(address, credentials(own, own_key)) as channel:
            assert (await Caller(channel, bearer()).jobs.ListJobTypes(ListJobTypesRequest())).job_types
            refusal = await refused(Caller(channel, ()).jobs.ListJobTypes(ListJobTypesRequest()))
            assert refusal.reason == "TOKEN_MISSING"
        for pair in ((), (other, other_key)):
            async with grpc.aio.secure_channel(address, credentials(*pair)) as channel:
                await unreachable(channel)


async def unreachable(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await Caller(channel, bearer()).jobs.ListJobTypes(ListJobTypesRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


# What cannot be started


async def fails_to_start(settings: Settings, *said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        async with running(settings):
            pass
    for part in said:
        assert part in str(caught.value)


async def test_a_taken_port_is_refused_by_name(settings: Settings) -> None:
    async with running(on_any_port(settings)) as service:
        await fails_to_start(on_any_port(settings, grpc_port=service.port), "GRPC_PORT", str(service.port))


@pytest.mark.parametrize("variable", ["grpc_tls_cert", "grpc_tls_key", "grpc_tls_client_ca"])
async def test_a_certificate_that_cannot_be_read_is_refused_by_name(
    settings: Settings, tmp_path: Path, variable: str
) -> None:
    certificate, key = self_signed(tmp_path, "server")
    files = {"grpc_tls_cert": certificate, "grpc_tls_key": key, "grpc_tls_client_ca": certificate}
    await fails_to_start(on_any_port(settings, **{**files, variable: tmp_path / "missing.pem"}), variable.upper())


async def test_files_that_are_no_pair_are_refused_by_name(settings: Settings, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    certificate, key = self_signed(tmp_path, "server")
    _, other_key = self_signed(tmp_path, "other")
    for pair in ((nonsense, nonsense), (certificate, other_key), (nonsense, key)):
        tls = on_any_port(settings, grpc_tls_cert=pair[0], grpc_tls_key=pair[1])
        await fails_to_start(tls, "GRPC_TLS_CERT", "GRPC_TLS_KEY")


async def test_no_key_for_tokens_is_refused(settings: Settings) -> None:
    await fails_to_start(on_any_port(settings, jwt_secret=None), "JWT_SECRET", "JWT_JWKS")


async def test_a_storage_root_that_cannot_be_made_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    await fails_to_start(on_any_port(settings, upload_dir=tmp_path / "file" / "below"), "UPLOAD_DIR")


# The process


@asynccontextmanager
async def process(environment: dict[str, str], port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m service`, once it listens."""
    started = await start(environment)
    try:
        await eventually(lambda: started.returncode is not None or listens(port), what="the service to listen")
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stderr=asyncio.subprocess.PIPE,
    )


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def environment(settings: Settings, port: int, **more: str) -> dict[str, str]:
    assert settings.redis_url is not None
    return {
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "REDIS_KEY_PREFIX": settings.redis_key_prefix,
        "JOB_PLUGINS": "testjobs",
        "JWT_SECRET": SECRET,
        "DATA_DIR": str(settings.data_dir),
        "GRPC_PORT": str(port),
        "LOG_FORMAT": "json",
        "METRICS_PORT": "0",
        **more,
    }


async def ends_unavailable(stream: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while await stream.read() is not grpc.aio.EOF:
            pass
    assert (caught.value.code(), "stopping" in (caught.value.details() or "")) == (grpc.StatusCode.UNAVAILABLE, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_tells_everybody_who_waits_and_ends_promptly(settings: Settings, number: signal.Signals) -> None:
    port = free_port()
    async with (
        process(environment(settings, port), port) as started,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        caller = Caller(channel, bearer())
        job_id = await caller.enqueue(Noop())
        place = {"queue_name": WORK, "job_id": job_id}
        probes: Any = health_pb2_grpc.HealthStub(channel)
        probe = probes.Watch(health_pb2.HealthCheckRequest())
        streams = [caller.jobs.WatchJob(WatchJobRequest(**place)), caller.jobs.WatchQueues(WatchQueuesRequest())]
        for stream in (probe, *streams):
            assert await stream.read() is not grpc.aio.EOF
        sending = caller.jobs.StreamEnqueueJobs()
        await sending.write(StreamEnqueueJobsRequest(job=EnqueueJobRequest(payload=custom(Noop()))))
        assert (await sending.read()).job_id
        waiting = asyncio.ensure_future(caller.jobs.GetJob(GetJobRequest(**place, wait_seconds=60)))
        await asyncio.sleep(0.2)  # nothing tells that the call has arrived
        began = time.monotonic()
        started.send_signal(number)
        assert (await probe.read()).status == NOT_SERVING
        await asyncio.gather(*map(ends_unavailable, (*streams, sending)))
        refusal = await refused(waiting)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        assert refusal.retry_after
        assert await asyncio.wait_for(started.wait(), 8) == 0
        assert time.monotonic() - began < 4


async def test_the_log_tells_of_changes_and_refusals_in_one_form(settings: Settings) -> None:
    port = free_port()
    trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    async with (
        process(environment(settings, port), port) as started,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        caller = Caller(channel, (*bearer(), trace, ("x-request-id", "req-1")))
        job_id = await caller.enqueue(Noop())
        await caller.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=job_id))
        await refused(caller.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id="gone")))
        started.terminate()
        _, told = await started.communicate()
    lines = [json.loads(line) for line in told.decode().splitlines()]
    common = {"event": "call", "level": "info", "process": "service", "request_id": "req-1", "caller": "alice"}
    common |= {"queue": WORK, "trace_id": "0af7651916cd43dd8448eb211c80319c"}
    changed, refusal = [line for line in lines if line["event"] == "call"]
    assert common.items() <= changed.items()
    assert (changed["method"], changed["code"], changed["job"]) == ("EnqueueJob", "OK", job_id)
    assert common.items() <= refusal.items()
    assert (refusal["method"], refusal["code"], refusal["job"]) == ("GetJob", "NOT_FOUND", "gone")
    assert changed["timestamp"] < refusal["timestamp"]
    file = (settings.data_dir / "logs" / "service.log").read_text().splitlines()
    assert [json.loads(line) for line in file] == lines


async def test_calls_that_come_while_it_stops_are_told_to_come_back(service: Running) -> None:
    service.service.refuse_calls()
    refusal = await refused(service.admin.jobs.ListJobTypes(ListJobTypesRequest()))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    assert refusal.retry_after


async def test_the_process_starts_without_a_store(settings: Settings) -> None:
    port = free_port()
    alone = environment(settings, port, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    async with process(alone, port) as started, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        refusal = await refused(Caller(channel, bearer()).jobs.GetJob(GetJobRequest(queue_name=WORK, job_id="x")))
        assert refusal.reason == "STORE_UNAVAILABLE"
        started.terminate()
        assert await asyncio.wait_for(started.wait(), 8) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"JWT_SECRET": ""}, "JWT_SECRET"),
        ({"JWT_SECRET": "short"}, "JWT_SECRET"),
        ({"GRPC_PORT": "many"}, "GRPC_PORT"),
        ({"JOB_PLUGINS": "no_such_package"}, "JOB_PLUGINS"),
    ],
)
async def test_a_process_that_cannot_start_says_why_without_a_trace(
    settings: Settings, change: dict[str, str], said: str
) -> None:
    started = await start(environment(settings, free_port(), **change))
    _, told = await started.communicate()
    assert started.returncode not in {0, None}
    assert said in told.decode()
    assert "Traceback" not in told.decode()
