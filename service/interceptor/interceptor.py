"""The one way into the service: every call goes through identity, rights, validation, its servicer, errors, the access log."""

import asyncio
import math
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from grpc import aio
from qcollector.jobs.v1.job_queries_pb2 import DownloadResultRequest
from structlog.contextvars import bind_contextvars

from base.telemetry import tracing
from base.telemetry.spans import NO_SPAN
from base.telemetry.trace_context import NO_TRACE, TraceContext, received
from contract.checking import check_or_raise
from contract.errors import FieldProblem, JobServiceError, RequestInvalidError, TokenExpiredError
from engine.links import Link
from service.auth import EXPIRED, Principal, link_holder
from service.interceptor import call as call_spans
from service.interceptor.admission_control import AdmissionControl
from service.interceptor.call import Call, enter, shutting_down
from service.interceptor.telemetry import Entry
from service.permissions import Rule, require_role
from service.status import code_of, for_gateway, reason_of, status_of

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Found: TypeAlias = "Handler | None"

OPEN_SERVICES: Final = ("/grpc.health.v1.Health/", "/grpc.reflection.")
"""Probes and tools have no token."""


class CallInterceptor(aio.ServerInterceptor):
    """Wraps each method once, on its first call."""

    def __init__(self, control: AdmissionControl, rules: Mapping[str, Rule]) -> None:
        """`rules` are by the method's path."""
        self._control = control
        self._rules = rules
        self._handlers: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Found]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Found:
        method = str(handler_call_details.method)
        handler = self._handlers.get(method)
        if handler is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # there is no such method, as gRPC then says
            if not method.startswith(OPEN_SERVICES):
                handler = self._handlers[method] = self._guarded(method, handler)
        return handler

    def _guarded(self, method: str, handler: Handler) -> Handler:
        guarded = InterceptedMethod(self._control, method, self._rules[method], handler)
        # Without a deserializer the bytes come as they are: gRPC would report malformed ones as a fault of the service.
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(guarded.unary, None, handler.response_serializer)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(guarded.stream, None, handler.response_serializer)
        return grpc.stream_stream_rpc_method_handler(guarded.duplex, None, handler.response_serializer)


log = structlog.get_logger()

Context = aio.ServicerContext[Any, Any]

MAX_NAME: Final = 128
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class InterceptedMethod:
    """The guarded form of one method, in the shapes that gRPC calls."""

    def __init__(self, control: AdmissionControl, method: str, rule: Rule, handler: Handler) -> None:
        self.control = control
        self.path = method.removeprefix("/")
        self.method = method.rpartition("/")[2]
        self.rule = rule
        self.metrics = control.metrics.of(self.method)
        self._handler = handler
        self._decode = cast("Callable[[bytes], Message]", handler.request_deserializer)

    async def unary(self, raw: bytes, context: Context) -> Message:
        async with _InterceptedCall(self, context) as call:
            await call.admit()
            request = self._decoded(raw)
            call.request = request
            if not self.rule.checks:
                check_or_raise(request, "")
            answer: Message = await cast("Any", self._handler.unary_unary)(request, context)
            call.answer = answer
            return answer

    async def stream(self, raw: bytes, context: Context) -> None:
        async with _InterceptedCall(self, context) as call:
            principal = await call.admit(await self._link(raw, call))
            request = self._decoded(raw)
            call.request = request
            check_or_raise(request, "")
            until = principal.expires if self.rule.lasting else math.inf  # a download ends by itself
            with self.control.limits.hold(principal):
                await _send(cast("Any", self._handler.unary_stream)(request, context), context, until)

    async def duplex(self, raws: AsyncIterator[bytes], context: Context) -> None:
        async with _InterceptedCall(self, context) as call:
            principal = await call.admit()
            # The answer begins at once: until then the gateway's bound on a request's arrival holds.
            await context.send_initial_metadata(())
            requests = self._requests(raws, principal.expires)
            with self.control.limits.hold(principal):
                await _send(cast("Any", self._handler.stream_stream)(requests, context), context)

    async def _requests(self, raws: AsyncIterator[bytes], until: float) -> AsyncIterator[Message]:
        """The requests of a stream. Raises TokenExpiredError for one that comes after `until`, in Unix seconds."""
        async for raw in raws:
            if time.time() >= until:
                raise TokenExpiredError(EXPIRED)
            yield self._decoded(raw)

    async def _link(self, raw: bytes, call: "_InterceptedCall") -> Link | None:
        """The signed link that a call without a token brings, where the method takes one."""
        if not self.rule.by_link or call.has_token:
            return None
        request = cast("DownloadResultRequest", self._decoded(raw))
        if not request.download_token:
            return None
        return await self.control.links.check(request.queue_name, request.job_id, request.download_token)

    def _decoded(self, raw: bytes) -> Message:
        try:
            return self._decode(raw)
        except DecodeError:
            raise RequestInvalidError(
                [
                    FieldProblem(
                        "",
                        "malformed",
                        f"the bytes are not a request of {self.method}, hold text that is not UTF-8, or are nested too deep",
                    )
                ]
            ) from None


async def _send(answers: AsyncIterator[Message], context: Context, until: float = math.inf) -> None:
    """Sends all answers. Raises TokenExpiredError if they have not ended by `until`, in Unix seconds."""
    left = asyncio.timeout(None if until == math.inf else until - time.time())
    try:
        async with left, aclosing(cast("Any", answers)):
            async for answer in answers:
                await context.write(answer)
    except TimeoutError:
        if left.expired():
            raise TokenExpiredError(EXPIRED) from None
        raise


class _InterceptedCall:
    """One call on its way through an intercepted method. Leaving it, by whatever way, answers the caller and the access log."""

    __slots__ = (
        *("_authorization", "_began", "_caller", "_context", "_method", "_request_id", "_span", "_trace"),
        *("answer", "request"),
    )

    def __init__(self, method: InterceptedMethod, context: Context) -> None:
        self._method = method
        self._context = context
        self._began = time.perf_counter()
        self._caller = ""
        self._authorization: str | None = None
        self._request_id = ""
        self._trace: TraceContext = NO_TRACE
        self._span = NO_SPAN
        self.request: Message | None = None
        self.answer: Message | None = None

    async def __aenter__(self) -> Self:
        self._method.control.enter()
        self._method.metrics.open += 1
        traceparent = tracestate = ""
        for key, value in self._context.invocation_metadata() or ():
            if key == "authorization":
                self._authorization = str(value)
            elif key == "x-request-id" and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
                self._request_id = value
            elif key == "traceparent":
                traceparent = str(value)
            elif key == "tracestate":
                tracestate = str(value)
        self._request_id = self._request_id or secrets.token_hex(8)
        if traceparent:
            self._trace = received(traceparent, tracestate)
        if tracing.active():
            self._span = call_spans.begin(self._method.path, self._trace)
            self._trace = self._span.trace
        return self

    @property
    def has_token(self) -> bool:
        return bool(self._authorization)

    async def admit(self, link: Link | None = None) -> Principal:
        """Lets the caller in, as the current call of this task: by its token, or by the link that takes its place.

        Raises:
          ShuttingDownError: the service takes no more calls.
          TokenMissingError, TokenInvalidError, TokenExpiredError: it is not known who calls.
          RoleInsufficientError: the method is not for this caller.
        """
        control = self._method.control
        if control.closing.is_set():
            raise shutting_down()
        if link is not None:
            principal = link_holder(link.queue, link.job_id)
        else:
            principal = await control.verifier.verify(self._authorization)
        self._caller = principal.id
        require_role(self._method.rule, principal)
        bind_contextvars(request_id=self._request_id)
        if self._trace.traceparent:
            bind_contextvars(trace_id=self._trace.trace_id)
        enter(Call(self._method.method, self._request_id, self._trace, principal, control.closing, link))
        if self._method.rule.lasting:
            control.lasting.add(_this_task())
        return principal

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        control = self._method.control
        control.leave()
        self._method.metrics.open -= 1
        if self._method.rule.lasting:
            control.lasting.discard(_this_task())
        if error is None:
            self._context.set_trailing_metadata((("x-request-id", self._request_id),))
            self._note("OK")
        elif isinstance(error, asyncio.CancelledError) and self._method.rule.lasting and control.closing.is_set():
            while _this_task().uncancel():
                pass  # once for each cancel that the control has sent
            await self._refuse(shutting_down())
        elif isinstance(error, JobServiceError):
            await self._refuse(error)
        elif not isinstance(error, Exception) or self._context.done():
            self._note("CANCELLED")  # by the caller, who is gone
        else:
            log.error("call_failed", method=self._method.method, request_id=self._request_id, exc_info=error)
            await self._refuse(JobServiceError(f"the service failed; its log tells more under {self._request_id}"))

    async def _refuse(self, error: JobServiceError) -> None:
        status = status_of(error)
        self._method.control.metrics.refused(reason_of(error))
        self._note(code_of(error).name, status.message)
        await self._context.abort(
            code_of(error),
            status.message,
            (
                ("grpc-status-details-bin", status.SerializeToString()),
                ("x-request-id", self._request_id),
                *for_gateway(error),
            ),
        )

    def _note(self, code: str, problem: str = "") -> None:
        seconds = time.perf_counter() - self._began
        self._method.metrics.ended(code, seconds)
        entry = Entry(
            method=self._method.method,
            code=code,
            ms=round(seconds * 1000, 2),
            caller=self._caller,
            request_id=self._request_id,
            queue=self._subject("queue_name"),
            job=self._subject("job_id"),
            trace_id=self._trace.trace_id,
            problem=problem,
        )
        if self._span is not NO_SPAN:
            call_spans.end(self._span, entry)
        access = self._method.control.access
        if problem:
            entry.peer = self._context.peer()
            access.refused(entry)
        elif self._method.rule.changes:
            access.changed(entry)
        else:
            access.looked(entry)

    def _subject(self, field: str) -> str:
        """The queue or the job that the call is about, as far as its answer or its request says."""
        name: str = getattr(self.answer, field, "") or getattr(self.request, field, "")
        return name[:MAX_NAME]


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
