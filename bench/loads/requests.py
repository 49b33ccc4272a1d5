"""What all load generators send: a 200-byte payload, the token of a service, a channel to the service."""

import json
import struct
import time
from typing import Any, Final

from grpc import aio
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from testjobs.v1.testjobs_pb2 import Mark, Noop

from base.settings import load
from stack.ports import LOOPBACK
from stack.tokens import sign

PAYLOAD_BYTES: Final = 200
SETTINGS: Final = load()
_HEADER_BYTES: Final = 3


def noop() -> Noop:
    """A payload of 200 bytes."""
    return Noop(pad="x" * (PAYLOAD_BYTES - _HEADER_BYTES))


def mark(file: str, place: int) -> Mark:
    """A payload of 200 bytes, whose job writes down when it started."""
    payload = Mark(file=file, place=place)
    payload.pad = "x" * (PAYLOAD_BYTES - _HEADER_BYTES - payload.ByteSize())
    return payload


def request(payload: Noop | Mark) -> EnqueueJobRequest:
    asked = EnqueueJobRequest()
    asked.payload.custom.Pack(payload)
    return asked


def token() -> str:
    secret = SETTINGS.jwt_secret
    assert secret is not None
    return sign(secret.get_secret_value(), subject="bench", role="admin", name="Bench", seconds=3600)


def metadata() -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token()}"),)


def channel() -> aio.Channel:
    return aio.insecure_channel(f"{LOOPBACK}:{SETTINGS.grpc_port}")


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of `values`, which are sorted, lies."""
    return values[min(int(len(values) * share), len(values) - 1)]


def answer(**figures: Any) -> None:
    """Prints what this load generator found."""
    print(json.dumps(figures), flush=True)


def marked_at(marks: Any, place: int) -> int:
    """Nanoseconds of the monotonic clock at which the job of that place started; 0 while it has not."""
    (started,) = struct.unpack_from("=q", marks, 8 * place)
    return int(started)


def now_ns() -> int:
    return time.monotonic_ns()
