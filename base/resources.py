"""What a process opens once and shares among its jobs or calls: `@provides` declares it, `open_resources` opens it."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Generic, TypeVar

from base.settings import Settings
from base.telemetry.instruments import Instruments, Measured

R = TypeVar("R")
Source = Callable[[Settings, Any], AsyncIterator[R]]
Expose = Callable[[R, Instruments], None]
"""Adds what the open one measures to the instruments of its process."""

_provided: "dict[type, Resource[Any]]" = {}


class Resource(Generic[R]):
    """The source of one `kind` for each process.

    A handler names it to get what it opened: `sender: Annotated[Sender, TaskiqDepends(mail_sender)]`.
    """

    def __init__(self, kind: type[R], source: Source[R], expose: "Expose[R] | None" = None) -> None:
        self.kind = kind
        self.expose = expose
        self.open = asynccontextmanager(source)
        self.place = f"{source.__module__}.{source.__qualname__}"

    def __call__(self) -> R:
        """Makes this a dependency for taskiq, which never calls it: it finds the open one in its context."""
        raise RuntimeError(f"{self.place} is opened once for each process, and is not open here")


def provides(kind: type[R], expose: Expose[R] | None = None) -> Callable[[Source[R]], Resource[R]]:
    """Makes `async def f(settings, store): yield thing` the source of one `kind` for each process.

    Things that are base.telemetry.instruments.Measured expose themselves; `expose` is for those of other libraries.
    """

    def register(source: Source[R]) -> Resource[R]:
        resource = Resource(kind, source, expose)
        if kind in _provided:
            raise RuntimeError(f"{kind.__qualname__} has two sources: {_provided[kind].place} and {resource.place}")
        _provided[kind] = resource
        return resource

    return register


class Resources:
    """Those that are open in this process."""

    def __init__(self, by_source: Mapping[Resource[Any], Any]) -> None:
        self.by_source = by_source
        self._by_kind = {resource.kind: value for resource, value in by_source.items()}

    def __getitem__(self, kind: type[R]) -> R:
        value: R = self._by_kind[kind]
        return value

    def __iter__(self) -> Iterator[Any]:
        return iter(self._by_kind.values())

    def expose(self, instruments: Instruments) -> None:
        """Adds what they measure to the instruments of their process."""
        for resource, value in self.by_source.items():
            if resource.expose is not None:
                resource.expose(value, instruments)
            elif isinstance(value, Measured):
                value.expose(instruments)


@asynccontextmanager
async def open_resources(
    settings: Settings, store: Any, kinds: Iterable[type] | None = None
) -> AsyncIterator[Resources]:
    """Those of `kinds`, or all that the imported modules provide. The last one opened is closed first.

    Raises:
      LookupError: nothing provides one of `kinds`.
    """
    wanted = list(_provided) if kinds is None else list(kinds)
    if unknown := [kind.__qualname__ for kind in wanted if kind not in _provided]:
        raise LookupError(f"nothing provides {', '.join(unknown)}: import the module whose function has `@provides`")
    async with AsyncExitStack() as stack:
        sources = [_provided[kind] for kind in wanted]
        yield Resources({each: await stack.enter_async_context(each.open(settings, store)) for each in sources})
