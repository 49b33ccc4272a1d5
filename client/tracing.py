"""The application's trace goes on in its jobs, where the application traces with OpenTelemetry."""

import sys
from collections.abc import Sequence
from typing import Any

import grpc


def interceptors() -> Sequence[grpc.aio.ClientInterceptor]:
    """What makes each call a span of the application's trace, and sends its context along; nothing where nobody traces.

    Applications that trace have OpenTelemetry's API loaded by the time they make a client. Where they have instrumented
    gRPC themselves, all channels do so already.
    """
    if "opentelemetry.trace" not in sys.modules:
        return ()
    try:
        from opentelemetry.instrumentation import grpc as instrumentation  # noqa: PLC0415  (only where it is in use)
    except ImportError:
        return ()
    untyped: Any = instrumentation
    if untyped.GrpcAioInstrumentorClient().is_instrumented_by_opentelemetry:
        return ()
    found: Sequence[grpc.aio.ClientInterceptor] = untyped.aio_client_interceptors()
    return found
