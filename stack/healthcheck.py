"""`qjobs healthcheck`: asks one process of this machine whether it can work, for the probes of containers."""

# ruff: noqa: PLC0415  (a probe runs every few seconds: each kind imports what it needs alone)

import http.client
from enum import StrEnum
from typing import Any, Final, cast

from base.settings import Settings
from stack.ports import LOOPBACK, reachable

PATIENCE_SECONDS: Final = 4.0
"""Less than probes usually wait, so that the reason is told."""


class Process(StrEnum):
    """What can be asked."""

    SERVICE = "service"
    WORKER = "worker"
    SCHEDULER = "scheduler"
    ENVOY = "envoy"


def problem(settings: Settings, process: Process, *, live: bool = False) -> str:
    """Why it cannot work, or with `live` why it should be started again; empty if there is no reason."""
    host = reachable(settings.bind_host)
    if process is Process.ENVOY:
        return _answer(LOOPBACK, settings.envoy_admin_port, "/ready", "ENVOY_ADMIN_PORT")
    if process is Process.SERVICE and settings.grpc_tls_cert is None:
        return _grpc_problem(host, settings.grpc_port)
    if settings.metrics_port == 0:
        return f"METRICS_PORT is 0, so that the {process} cannot be asked: give it a port"
    return _answer(host, settings.metrics_port, "/healthz" if live else "/readyz", "METRICS_PORT")


def _answer(host: str, port: int, path: str, variable: str) -> str:
    """What an HTTP server says, unless all is well with it."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read(1000).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"nothing answers on {host}:{port} ({variable}): {error}"
    finally:
        connection.close()
    return "" if answer.status == http.client.OK else " ".join(said.split()) or f"it answered {answer.status}"


def _grpc_problem(host: str, port: int) -> str:
    import grpc
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
    from grpc_health.v1.health_pb2_grpc import HealthStub

    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with grpc.insecure_channel(place) as channel:
        try:
            stub: Any = HealthStub(channel)  # its stubs know asyncio alone
            answer = stub.Check(HealthCheckRequest(), timeout=PATIENCE_SECONDS)
        except grpc.RpcError as error:
            # What is raised is the call itself, which its type does not tell.
            return f"nothing answers on {place} (GRPC_PORT): {cast('grpc.Call', error).details()}"
    if answer.status == HealthCheckResponse.SERVING:
        return ""
    return f"it says {HealthCheckResponse.ServingStatus.Name(answer.status)}: it is stopping"
