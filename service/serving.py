"""The gRPC services of a process: the platform's own, and those of plugins (their `servicers` modules).

    SERVICERS = (Serving(DESCRIPTOR.services_by_name["Reports"], ReportsServicer, {"GetReport": Rule(Access.ADMIN)}),)

Calls that the contract declares as tasks (option `task`) need neither code nor rule: each enqueues its job.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from base.plugins import constants
from contract.declarations import CatalogError
from contract.errors import FieldProblem, RequestInvalidError
from contract.tasks import Task, is_task, tasks_of
from service.dependencies import Context, Dependencies
from service.enqueueing import enqueued_view
from service.permissions import ENQUEUE, Rule

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(frozen=True, slots=True)
class Serving:
    """One service."""

    service: ServiceDescriptor
    servicer: Callable[[Dependencies], Any] | None = None
    """Makes the object with the calls that are no tasks; a subclass of service.dependencies.Servicer."""
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """Who may make each of these calls, by the method's name."""


def of_plugins(job_plugins: Sequence[str]) -> list[Serving]:
    return [serving for each in constants("servicers", "SERVICERS", job_plugins) for serving in each]


def rules_by_path(served: Sequence[Serving]) -> dict[str, Rule]:
    """The rule of each call, by its path.

    Raises:
      CatalogError: two plugins serve one service, or a call that is no task has no rule.
    """
    rules: dict[str, Rule] = {}
    problems = []
    for serving in served:
        for method in serving.service.methods:
            path = f"/{serving.service.full_name}/{method.name}"
            rule = ENQUEUE if is_task(method) else serving.rules.get(method.name)
            if path in rules:
                problems.append(f"{method.full_name} is served twice; let one plugin alone name its service")
            elif rule is None:
                problems.append(f"{method.full_name} has no rule; say in its Serving's `rules` who may call it")
            else:
                rules[path] = rule
    if problems:
        raise CatalogError(problems)
    return rules


def add_service(serving: Serving, deps: Dependencies, server: aio.Server) -> None:
    """Adds a service to a server. Tasks of families that are not here are left out, and so UNIMPLEMENTED.

    Raises:
      CatalogError: a task does not fit its job type, or there is no code for a call that is no task.
    """
    tasks = tasks_of(serving.service, deps.catalog)
    servicer = serving.servicer(deps) if serving.servicer is not None else None
    handlers: dict[str, Handler] = {}
    for method in serving.service.methods:
        if not is_task(method):
            if (call := getattr(servicer, method.name, None)) is None:
                raise CatalogError([f"{method.full_name} has no code: write a method of that name in its servicer"])
            handlers[method.name] = _handler(method, call)
        elif method.name in tasks:
            handlers[method.name] = _handler(method, _call(tasks[method.name], deps))
    name = serving.service.full_name
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    server.add_registered_method_handlers(name, handlers)


def _handler(method: MethodDescriptor, call: Callable[..., Any]) -> Handler:
    """As generated code makes it."""
    made = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[method.client_streaming, method.server_streaming]
    return made(
        call,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )


def _call(task: Task, deps: Dependencies) -> Callable[[Message, Context], Awaitable[Message]]:
    async def call(request: Message, _context: Context) -> Message:
        try:
            accepted = await deps.enqueuer.enqueue(task.enqueue_request(request, deps.catalog))
        except RequestInvalidError as error:
            raise RequestInvalidError([_asked(problem, task) for problem in error.problems]) from None
        response: Any = task.response
        answer: Message = enqueued_view(response, accepted)
        return answer

    return call


def _asked(problem: FieldProblem, task: Task) -> FieldProblem:
    """`payload.emailWelcome.user.email` is the caller's `user.email`."""
    _, payload, rest = problem.field.partition("payload.")
    if not payload:
        return problem
    return FieldProblem(task.field_asked(rest.partition(".")[2] or rest), problem.rule, problem.description)
