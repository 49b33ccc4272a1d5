"""The one way into the service: an interceptor that leads every call, unary or stream, through a passage of its own."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc
from grpc import aio

from service.gate import Gate
from service.passage import Passage
from service.permissions import RULES

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Found: TypeAlias = "Handler | None"

OPEN_SERVICES: Final = ("/grpc.health.v1.Health/", "/grpc.reflection.")
"""Probes and tools have no token."""


class Boundary(aio.ServerInterceptor):
    """Wraps each method once, on its first call."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
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
        passage = Passage(self._gate, method, RULES[method], handler)
        # Without a deserializer the bytes come as they are: gRPC would report malformed ones as a fault of the service.
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(passage.unary, None, handler.response_serializer)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(passage.stream, None, handler.response_serializer)
        return grpc.stream_stream_rpc_method_handler(passage.duplex, None, handler.response_serializer)
