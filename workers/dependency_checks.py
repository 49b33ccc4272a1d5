"""Mistakes in what handlers ask for, told at the start with their remedy instead of by each job."""

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from taskiq import Context
from taskiq_dependencies import DependencyGraph, ParamInfo

from base.resources import Resource
from workers.handlers import Handler

_BY_PLACE: Final = ("payload", "job")
"""What a handler gets by place; the rest it gets by name."""
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_REMEDY: Final = "annotate it as Annotated[<its type>, TaskiqDepends(<its source>)], or give it a default"


def problems_of(handler: Handler, graph: DependencyGraph, lasting: Mapping[Any, Any]) -> Iterator[str]:
    """What would fail each job of the handler. `lasting` is what lives as long as the worker, by its source."""
    parameters = list(inspect.signature(handler).parameters.values())
    first = [each for each in parameters if each.kind in _POSITIONAL][: len(_BY_PLACE)]
    given = _given(graph)
    if len(first) < len(_BY_PLACE) and not any(each.kind is each.VAR_POSITIONAL for each in parameters):
        yield "it is called with a payload and a job; let these be its first two parameters"
    for passed, parameter in zip(_BY_PLACE, first, strict=False):
        if parameter.name in given:
            yield f"the {passed} is passed where its parameter {parameter.name} stands; move that behind payload and job"
    for name in _without_source([each for each in parameters if each not in first], given):
        yield f"nothing says where its parameter {name} comes from; {_REMEDY}"
    yield from _of_dependencies(graph, lasting)


def _of_dependencies(graph: DependencyGraph, lasting: Mapping[Any, Any]) -> Iterator[str]:
    sources = {each.kind: each for each in lasting if isinstance(each, Resource)}
    for need in graph.ordered_deps[:-1]:
        source: Any = need.dependency
        if isinstance(source, Resource):
            yield from _of_resource(need.param_name, source, lasting, cached=need.use_cache)
        elif source in sources:
            own = f"its parameter {need.param_name} asks for a {_name(source)} of its own"
            yield f"{own}; the worker's is TaskiqDepends({sources[source].place})"
        elif source not in lasting and source not in {Context, ParamInfo, None}:
            inner = graph.subgraphs.get(need)
            given = _given(inner) if inner else {each.param_name for each in graph.dependencies.get(need, ())}
            for name in _without_source(_parameters(source), given | need.kwargs.keys()):
                yield f"nothing says where the parameter {name} of {_name(source)} comes from; {_REMEDY}"
            if inner:
                yield from _of_dependencies(inner, lasting)


def _of_resource(name: str, source: Resource[Any], lasting: Mapping[Any, Any], *, cached: bool) -> Iterator[str]:
    if source not in lasting:
        yield (
            f"its parameter {name} depends on {source.place}, which this worker has not opened; declare that by "
            f"@provides({source.kind.__name__}) in a module that the family's or the plugin's `handlers` imports"
        )
    elif not cached:
        yield f"its parameter {name} asks for {source.place} with use_cache=False, but a worker has one alone; leave it cached"


def _given(graph: DependencyGraph) -> set[str]:
    """The parameters of the graph's target that dependencies are passed for."""
    return {each.param_name for each in graph.dependencies[graph.ordered_deps[-1]]} if graph.ordered_deps else set()


def _without_source(parameters: Iterable[inspect.Parameter], given: Collection[str]) -> Iterator[str]:
    for each in parameters:
        if (
            each.default is each.empty
            and each.name not in given
            and each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}
        ):
            yield each.name


def _parameters(source: Callable[..., Any]) -> Iterable[inspect.Parameter]:
    try:
        return inspect.signature(source).parameters.values()
    except (TypeError, ValueError):  # some of what is built in tells nothing of itself
        return ()


def _name(source: Any) -> str:
    return str(getattr(source, "__qualname__", source))
