"""Which processes a stack consists of: embedded servers for what the settings do not name, and the project's own."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.settings import Settings, load
from base.storage import StorageRoots
from stack.embedded import Embedded, ServerPart, embedded
from stack.envoy import Envoy
from stack.errors import StackError
from stack.folder import DataFolder
from stack.part import Part
from stack.ports import LOOPBACK, require_free
from stack.processes import STORE, Scheduler, Service, Worker
from stack.tokens import DEVELOPMENT
from stack.valkey import Valkey

LAST_PORT: Final = 65535
STORE_SETTINGS: Final = ("redis_url", "redis_host", "redis_port")
"""Any of these says that there is a store already."""
FOREIGN: Final = ("REDIS_URL", "REDIS_USERNAME", "REDIS_TLS_CA")
"""What the environment may say of another store, and must not be told of the embedded one."""


@dataclass(frozen=True)
class Plan:
    """A stack that is ready to be started."""

    parts: Sequence[Part]
    settings: Settings
    """The settings as the stack's processes have them."""
    secret: str
    """The secret for tokens that was made for this stack; empty where the settings name their own."""
    logs: Sequence[Path]
    """The files that the embedded servers append to."""
    embedded: Sequence[Embedded]
    """Those of plugins that are part of it."""


def plan(settings: Settings, folder: DataFolder, workers: int, services: int = 1) -> Plan:
    """Decides what to start. The folder must be held.

    Raises:
      StackError: a port is taken, or a program is not installed.
      SettingsError: a storage root cannot be used.
    """
    metrics = metrics_ports(settings, services + workers + 1)
    grpc = grpc_ports(settings, services)
    require_free(
        settings.bind_host,
        {
            "REST_PORT": settings.rest_port,
            "GRPC_PORT": settings.grpc_port,
            **{f"GRPC_PORT (+{number})": port for number, port in enumerate(grpc, 1) if services > 1},
            **{f"METRICS_PORT{f' (+{number})' if number else ''}": port for number, port in enumerate(metrics) if port},
        },
    )
    require_free(LOOPBACK, {"ENVOY_ADMIN_PORT": settings.envoy_admin_port})
    folder.keep_off((settings.rest_port, settings.grpc_port, *grpc, settings.envoy_admin_port, *metrics))
    StorageRoots(settings).prepare()
    log = settings.root("log")
    brought = [server for server in embedded(settings) if server.wanted(settings)]
    started = [server.start(folder, log / f"{server.name}.log") for server in brought]
    servers = [*_store(settings, folder, log), *started]
    told = {"DATA_DIR": str(folder.root)}
    for part in servers:
        told |= part.environment
    secret = "" if settings.jwt_secret or settings.jwt_jwks else folder.secret(DEVELOPMENT)
    if secret:
        told["JWT_SECRET"] = secret
    settings = _tell(told, [name for server in brought for name in server.foreign])
    needed = (STORE, *(part.name for part in started))
    first = (STORE, *(part.name for part, server in zip(started, brought, strict=True) if server.before_services))
    serving = [
        Service(number + 1, folder, settings, metrics[number], grpc[number], first) for number in range(services)
    ]
    own: list[Part] = [
        *serving,
        *(Worker(number + 1, folder, settings, metrics[services + number], needed) for number in range(workers)),
        Scheduler(folder, settings, metrics[-1]),
        Envoy(settings, folder.run, serving),
    ]
    logs = [log / f"{name}.log" for name in (*(part.name for part in servers), "envoy")]
    logs += [folder.run / f"{part.name}.out" for part in own]
    return Plan(parts=(*servers, *own), settings=settings, secret=secret, logs=logs, embedded=brought)


def metrics_ports(settings: Settings, processes: int) -> list[int]:
    """One for each process: METRICS_PORT and those after it; all 0 where there are to be none.

    Raises:
      StackError: there are not so many.
    """
    if not settings.metrics_port:
        return [0] * processes
    remedy = "Set a smaller one, or 0 to have no metrics."
    return _ports_from(settings.metrics_port, processes, f"METRICS_PORT={settings.metrics_port}", remedy)


def grpc_ports(settings: Settings, services: int) -> list[int]:
    """One for each service process: GRPC_PORT where there is one; several are on the ports after it, and Envoy on it.

    Raises:
      StackError: there are not so many.
    """
    if services == 1:
        return [settings.grpc_port]
    return _ports_from(settings.grpc_port + 1, services, f"GRPC_PORT={settings.grpc_port}", "Set a smaller one.")


def _ports_from(first: int, processes: int, variable: str, remedy: str) -> list[int]:
    last = first + processes - 1
    if last > LAST_PORT:
        raise StackError(
            f"{variable}: {processes} processes need a port each, up to {last}, and the last one is {LAST_PORT}. {remedy}"
        )
    return list(range(first, last + 1))


def _store(settings: Settings, folder: DataFolder, log: Path) -> list[ServerPart]:
    """The embedded store, unless a setting names one."""
    if settings.model_fields_set.intersection(STORE_SETTINGS):
        return []
    return [Valkey(folder, log / "valkey.log")]


def _tell(told: Mapping[str, str], foreign: Sequence[str]) -> Settings:
    """Puts `told` into this process's environment, which the stack's inherit; the settings that it then amounts to."""
    for name in (*(FOREIGN if "REDIS_HOST" in told else ()), *foreign):
        os.environ.pop(name, None)
    os.environ.update(told)
    return load()
