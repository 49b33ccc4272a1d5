"""Where handlers and the resources that they share are declared: `@handles` and `@provides`."""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from google.protobuf.message import Message
from taskiq import Context, TaskiqDepends

from base.settings import Settings

Handler = Callable[..., Awaitable[Message]]
H = TypeVar("H", bound=Handler)
R = TypeVar("R")
Provider = Callable[[Settings, Any], AsyncIterator[Any]]

PROCESSORS = ("email", "exports", "files", "analytics", "system")
"""The families of this project: packages of `families`."""

_handlers: dict[str, Handler] = {}
_providers: dict[type, Callable[[Settings, Any], AbstractAsyncContextManager[Any]]] = {}


def handles(payload: type[Message]) -> Callable[[H], H]:
    """Makes `async def handler(payload, job)` the handler of the job type that `payload` declares."""

    def register(handler: H) -> H:
        name = payload.DESCRIPTOR.full_name
        if name in _handlers and _handlers[name] is not handler:
            raise RuntimeError(f"{name} has two handlers: {_handlers[name].__qualname__} and {handler.__qualname__}")
        _handlers[name] = handler
        return handler

    return register


def provides(kind: type[R]) -> Callable[[Callable[[Settings, Any], AsyncIterator[R]]], Callable[[], R]]:
    """Makes `async def f(settings, store): yield thing` the source of one `kind` for each worker process.

    Answers the dependency that a handler names: `sender: Annotated[Sender, TaskiqDepends(f)]`.
    """

    def register(factory: Callable[[Settings, Any], AsyncIterator[R]]) -> Callable[[], R]:
        _providers[kind] = asynccontextmanager(factory)

        def dependency(context: Context = TaskiqDepends()) -> R:  # noqa: B008  (taskiq's way to say it)
            value: R = context.broker.state[state_key(kind)]
            return value

        return dependency

    return register


def state_key(kind: type) -> str:
    """Where taskiq's state holds the worker's one `kind`."""
    return f"{kind.__module__}.{kind.__qualname__}"


def load_handlers(plugins: Sequence[str]) -> dict[str, Handler]:
    """Imports the project's processors and each plugin's `handlers`; all handlers by payload message."""
    for family in PROCESSORS:
        importlib.import_module(f"families.{family}.handlers")
    for plugin in plugins:
        importlib.import_module(f"{plugin}.handlers")
    return dict(_handlers)


def providers() -> dict[type, Callable[[Settings, Any], AbstractAsyncContextManager[Any]]]:
    return dict(_providers)
