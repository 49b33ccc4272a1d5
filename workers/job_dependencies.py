"""What a handler depends on and is made for each job, by taskiq's graph of dependencies."""

import inspect
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import structlog
from taskiq_dependencies import DependencyGraph
from taskiq_dependencies.ctx import AsyncResolveContext
from taskiq_dependencies.utils import isasynccontextmanager

_log = structlog.get_logger(__name__)


class JobDependencies(AsyncResolveContext):
    """Resolves as taskiq does, and closes all that it opened, last first, whatever fails on the way."""

    def __init__(self, graph: DependencyGraph, known: dict[Any, Any], within: "JobDependencies | None" = None) -> None:
        super().__init__(graph, within.main_graph if within else graph, known)
        if within:
            self.opened_dependencies = within.opened_dependencies

    async def resolver(self, executed_func: Any, initial_cache: dict[Any, Any]) -> Any:
        """Opens one; a generator as the context manager that it stands for."""
        if isinstance(executed_func, DependencyGraph):
            return await JobDependencies(executed_func, initial_cache, self).resolve_kwargs()
        opened: Any = executed_func
        if inspect.isasyncgen(executed_func):
            opened = asynccontextmanager(lambda: executed_func)()
        elif inspect.isgenerator(executed_func):
            opened = contextmanager(lambda: executed_func)()
        return await super().resolver(opened, initial_cache)

    async def close_all(self, error: BaseException | None) -> None:
        """Each hears of the error that the job ended with. Where there is none, the first of theirs is raised."""
        ended_with = error
        for opened in reversed(self.opened_dependencies):
            try:
                await _leave(opened, ended_with)
            except BaseException as failed:  # noqa: BLE001  (the others are closed all the same)
                if ended_with is None:
                    ended_with = failed
                elif failed is not ended_with:
                    _log.warning("dependency_not_closed", exc_info=failed)
        if error is None and ended_with is not None:
            raise ended_with


async def _leave(opened: Any, error: BaseException | None) -> None:
    """Closes one. What it answers is not asked: a dependency cannot make a failure good."""
    details = (None, None, None) if error is None else (type(error), error, error.__traceback__)
    if isasynccontextmanager(opened):
        await opened.__aexit__(*details)
    else:
        opened.__exit__(*details)
