"""A bare grpc.aio server that answers an enqueue request with itself: the most that a service on it can do."""

import asyncio
import os

import grpc
import uvloop
from grpc import aio
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest

from stack.ports import LOOPBACK

METHOD = "/bench.Echo/Say"


async def say(request: EnqueueJobRequest, _context: object) -> EnqueueJobRequest:
    return request


def address() -> str:
    return f"{LOOPBACK}:{os.environ['ECHO_PORT']}"


async def main() -> None:
    server = aio.server()
    service, method = METHOD[1:].split("/")
    handler = grpc.unary_unary_rpc_method_handler(
        say, EnqueueJobRequest.FromString, EnqueueJobRequest.SerializeToString
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
    server.add_insecure_port(address())
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
