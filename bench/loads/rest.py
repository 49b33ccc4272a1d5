"""Enqueues over REST: `rest WIDTH SECONDS`. One connection for each call in flight, and as little of HTTP as will do."""

import asyncio
import json
import sys
import time

import uvloop

from bench.loads import requests
from bench.loads.enqueue import WARM_SECONDS
from stack.ports import LOOPBACK


def posted() -> bytes:
    body = json.dumps({"queueName": "test:work", "jobType": "noop", "data": {"pad": requests.noop().pad}}).encode()
    head = (
        "POST /api/v1/queue/jobs HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {requests.token()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answered(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head.decode())
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    return await reader.readexactly(length)


async def calls(width: int, seconds: float) -> int:
    made = 0
    end = time.perf_counter() + seconds
    request = posted()

    async def lane() -> None:
        nonlocal made
        reader, writer = await asyncio.open_connection(LOOPBACK, requests.SETTINGS.rest_port)
        while time.perf_counter() < end:
            writer.write(request)
            assert b'"jobId"' in await answered(reader)
            made += 1
        writer.close()

    await asyncio.gather(*(lane() for _ in range(width)))
    return made


async def main(width: int, seconds: float) -> None:
    await calls(width, WARM_SECONDS)
    began = time.perf_counter()
    made = await calls(width, seconds)
    requests.answer(rate=made / (time.perf_counter() - began))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
