"""The packages that bring job types, and the modules by which each takes part: its hooks.

A plugin is a folder of `families/` or a package that JOB_PLUGINS names. It has those of these modules that it needs; a process
imports only the ones that it asks for. `checks` and `health` may also say which RESOURCES they work with (base.resources).

    contract    the generated modules that declare its queues and job types
    settings    SETTINGS, a subclass of base.settings.Settings with variables of its own
    checks      FIELD_CHECKS and PAYLOAD_CHECKS, which judge payloads before they are stored (contract.checks)
    handlers    what runs its jobs: functions under @handles (workers.handlers)
    servicers   SERVICERS, gRPC services of its own (service.serving)
    health      CHECKS, parts of CheckHealth (service.health)
    duties      DUTIES and SCHEDULES: what the scheduler does for it, and the schedules that a new store begins with
    servers     SERVERS, which `qjobs up` starts where no setting names others (stack.embedded)
    commands    COMMANDS, subcommands of qjobs (click)
    demo        SAMPLES, what `qjobs demo` runs
"""

import importlib
import importlib.util
import os
import pkgutil
from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import Any, Final

from base.errors import StartError

FAMILIES: Final = "families"
HOOKS: Final = (
    "contract",
    "settings",
    "checks",
    "handlers",
    "servicers",
    "health",
    "duties",
    "servers",
    "commands",
    "demo",
)


class PluginError(StartError):
    """A name in JOB_PLUGINS that is not that of a plugin; the message says cause and remedy."""


def job_plugins() -> tuple[str, ...]:
    """The packages that JOB_PLUGINS names."""
    return names_in(os.environ.get("JOB_PLUGINS", ""))


def names_in(text: str) -> tuple[str, ...]:
    """Names that are separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


@cache
def families() -> tuple[str, ...]:
    """The plugins that come with the project: the packages in `families/`, by name; none where that folder is missing."""
    spec = importlib.util.find_spec(FAMILIES)
    folders = spec.submodule_search_locations if spec is not None else None
    return tuple(sorted(f"{FAMILIES}.{found.name}" for found in pkgutil.iter_modules(folders or ()) if found.ispkg))


def hooks(name: str, job_plugins: Iterable[str] = ()) -> list[ModuleType]:
    """The modules of that name: the families' and then those of the plugins that JOB_PLUGINS names.

    Raises:
      PluginError: one of `job_plugins` cannot be found, or has none of the modules of a plugin.
    """
    assert name in HOOKS, f"{name} is not the name of a hook"
    found = []
    for plugin in dict.fromkeys((*families(), *job_plugins)):
        if plugin not in families():
            _check(plugin)
        if importlib.util.find_spec(f"{plugin}.{name}") is not None:
            found.append(importlib.import_module(f"{plugin}.{name}"))
    return found


def constants(name: str, constant: str, job_plugins: Iterable[str] = (), *, optional: bool = False) -> list[Any]:
    """What the modules of that name call `constant`, one value for each plugin that has it.

    Raises:
      PluginError: as `hooks`; or a module lacks it, unless it is `optional`.
    """
    found = []
    for module in hooks(name, job_plugins):
        if (value := getattr(module, constant, None)) is not None:
            found.append(value)
        elif not optional:
            raise PluginError(f"{module.__name__} has no {constant}; define it there, or remove the module")
    return found


def merged(name: str, constant: str, job_plugins: Iterable[str] = ()) -> dict[Any, Any]:
    """The same where each value is a mapping, as one mapping.

    Raises:
      PluginError: two plugins have one key.
    """
    found: dict[Any, Any] = {}
    for value in constants(name, constant, job_plugins, optional=True):
        if twice := [getattr(key, "__name__", None) or getattr(key, "name", key) for key in value if key in found]:
            raise PluginError(f"two plugins have {constant} for {', '.join(map(str, twice))}; leave it to one of them")
        found |= value
    return found


@cache
def _check(plugin: str) -> None:
    try:
        known = any(importlib.util.find_spec(f"{plugin}.{hook}") is not None for hook in HOOKS)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{plugin}.".startswith(f"{error.name}."):
            raise
        raise PluginError(
            f"JOB_PLUGINS names {plugin}, but there is no such package; install it or correct the name"
        ) from None
    if not known:
        raise PluginError(
            f"JOB_PLUGINS names {plugin}, which has none of the modules of a plugin ({', '.join(HOOKS)}); add one or "
            "correct the name"
        )
