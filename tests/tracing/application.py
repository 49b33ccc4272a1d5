"""An application that traces with OpenTelemetry: sends a welcome mail by the client, within a span of its own."""

import asyncio
import os
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from client import JobClient


async def main(address: str) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    async with JobClient(address, os.environ["TOKEN"]) as jobs:
        with trace.get_tracer("shop").start_as_current_span("sign up"):
            handle = await jobs.send_welcome_email({"id": "7", "email": "somchai@example.com"})
            await handle.wait(60)


asyncio.run(main(sys.argv[1]))
