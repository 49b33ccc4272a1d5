"""What a handler depends on: what lives as long as the worker is bound at the start, the rest is made for each job."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
from taskiq import AsyncBroker, Context, TaskiqMessage, TaskiqState
from taskiq_dependencies import DependencyGraph

from contract.catalog import CatalogError
from workers.cleanup_scope import protect
from workers.dependency_checks import problems_of
from workers.handlers import Handler
from workers.job_dependencies import JobDependencies


class BoundHandler:
    """A handler with what it depends on.

    Attributes:
      call: takes payload and job; all that lives as long as the worker is bound.
      each: whether anything is made for each job, so that only `answer` can call it.
    """

    def __init__(self, handler: Handler, graph: DependencyGraph, broker: AsyncBroker) -> None:
        self._graph = graph
        self._broker = broker
        self._lasting = _lasting(broker)
        needs = graph.dependencies[graph.ordered_deps[-1]] if graph.ordered_deps else []
        bound = {need.param_name: self._lasting[need.dependency] for need in needs if need.dependency in self._lasting}
        self.each = len(bound) < len(needs)
        self.call: Handler = partial(handler, **bound) if bound else handler

    async def answer(self, message: TaskiqMessage, scope: anyio.CancelScope) -> Any:
        """What the handler answers to taskiq's message. Raises what it raises, or what a dependency raises."""
        if not self.each:
            return await self._in_time(message, {})
        made = JobDependencies(self._graph, {**self._lasting, Context: Context(message, self._broker)})
        try:
            answer = await self._in_time(message, await made.resolve_kwargs())
        except BaseException as error:
            protect(scope)
            await made.close_all(error)
            raise
        protect(scope)
        await made.close_all(None)
        return answer

    async def _in_time(self, message: TaskiqMessage, made: Mapping[str, Any]) -> Any:
        """Middlewares may have changed the arguments, and may have set taskiq's label for a time limit."""
        limit = message.labels.get("timeout")
        with anyio.fail_after(None if limit is None else float(limit)):
            return await self.call(*message.args, **{**made, **message.kwargs})


def bind(handlers: Mapping[str, Handler], broker: AsyncBroker) -> dict[str, BoundHandler]:
    """Looks at each handler's signature, once. `handlers` are by the keys of their job types.

    Raises:
      CatalogError: a handler needs what nothing gives it.
    """
    bound: dict[str, BoundHandler] = {}
    problems: list[str] = []
    for key, handler in handlers.items():
        try:
            graph = DependencyGraph(handler, broker.dependency_overrides or None)
        except ValueError as error:
            problems.append(f"the handler of {key}: {error} Name its source: TaskiqDepends(<source>)")
            continue
        if found := list(problems_of(handler, graph, _lasting(broker))):
            problems += [f"the handler of {key}: {problem}" for problem in found]
        else:
            bound[key] = BoundHandler(handler, graph, broker)
    if problems:
        raise CatalogError(problems)
    return bound


def _lasting(broker: AsyncBroker) -> dict[Any, Any]:
    """What the broker's dependency context holds lives as long as the worker: its resources, by their sources."""
    return {**broker.custom_dependency_context, TaskiqState: broker.state}
