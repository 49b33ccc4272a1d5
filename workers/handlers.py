"""Where handlers are declared: `@handles`. What they share is declared by `base.resources.provides`."""

import importlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

Handler = Callable[..., Awaitable[Message]]
H = TypeVar("H", bound=Handler)

PROCESSORS = ("email", "exports", "files", "analytics", "system")
"""The families of this project: packages of `families`."""

_handlers: dict[str, Handler] = {}


def handles(payload: type[Message]) -> Callable[[H], H]:
    """Makes `async def handler(payload, job)` the handler of the job type that `payload` declares."""

    def register(handler: H) -> H:
        name = payload.DESCRIPTOR.full_name
        if name in _handlers and _handlers[name] is not handler:
            raise RuntimeError(f"{name} has two handlers: {_handlers[name].__qualname__} and {handler.__qualname__}")
        _handlers[name] = handler
        return handler

    return register


def load_handlers(plugins: Sequence[str]) -> dict[str, Handler]:
    """Imports the project's processors and each plugin's `handlers`; all handlers by payload message."""
    for family in PROCESSORS:
        importlib.import_module(f"families.{family}.handlers")
    for plugin in plugins:
        importlib.import_module(f"{plugin}.handlers")
    return dict(_handlers)
