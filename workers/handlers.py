"""Where handlers are declared: `@handles`. What they share is declared by `base.resources.provides`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from base.plugins import hooks

Handler = Callable[..., Awaitable[Message]]
H = TypeVar("H", bound=Handler)

_handlers: dict[str, Handler] = {}
_loaded: set[str] = set()
"""The `handlers` modules that were asked for in this process."""


def handles(payload: type[Message]) -> Callable[[H], H]:
    """Makes `async def handler(payload, job)` the handler of the job type that `payload` declares."""

    def register(handler: H) -> H:
        name = payload.DESCRIPTOR.full_name
        if name in _handlers and _handlers[name] is not handler:
            raise RuntimeError(f"{name} has two handlers: {_handlers[name].__qualname__} and {handler.__qualname__}")
        _handlers[name] = handler
        return handler

    return register


def load_handlers(job_plugins: Sequence[str]) -> dict[str, Handler]:
    """Imports the `handlers` modules of the families, and of the plugins that JOB_PLUGINS names.

    Returns all handlers by their payload messages' full names.

    Raises:
      PluginError: a plugin cannot be found.
    """
    named = {module.__name__ for module in hooks("handlers", job_plugins)}
    _loaded.update(named)
    # A process may have loaded other plugins before, as tests do.
    return {name: handler for name, handler in _handlers.items() if handler.__module__ not in _loaded - named}
