"""Callers that send most of a body and then wait, and what Envoy holds for them."""

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack.ports import LOOPBACK
from tests.gateway.front import Answer, Front

LENGTH = 9_500_000
MEGABYTE = 1_000_000


@dataclass
class Held:
    """One connection whose request has not ended."""

    connection: socket.socket

    def fill(self) -> bool:
        """Sends all of the body but its end; whether Envoy has taken it."""
        left = LENGTH - 1000
        with contextlib.suppress(OSError):
            while left > 0:
                left -= self.connection.send(b" " * min(left, MEGABYTE))
        return left == 0

    def answer(self) -> Answer:
        """What came although the request has not ended."""
        self.connection.settimeout(20)
        head, _, body = self.connection.makefile("rb").read().partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Answer(int(status.split()[1]), headers, body.decode())

    def is_over(self, seconds: float = 0.01) -> bool:
        """Whether Envoy answers or hangs up within that time."""
        self.connection.settimeout(seconds)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        except OSError:
            return True
        return True


@contextlib.contextmanager
def held(front: Front, path: str, method: str = "POST", **headers: str) -> Iterator[Held]:
    """A request whose head alone has been sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {LENGTH}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((LOOPBACK, front.rest), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        yield Held(connection)


@contextlib.contextmanager
def many_held(front: Front, count: int, path: str, method: str = "POST", **headers: str) -> Iterator[list[Held]]:
    """So many of them at once, each filled as far as Envoy takes it."""
    with contextlib.ExitStack() as stack:
        requests = [stack.enter_context(held(front, path, method, **headers)) for _ in range(count)]
        for request in requests:
            request.fill()
        yield requests


def memory(front: Front) -> int:
    """Bytes that Envoy's process has in memory."""
    taken: int = psutil.Process(front.pid).memory_info().rss
    return taken


def heap(front: Front) -> int:
    """Bytes that Envoy uses, by its own account."""
    admin = Front(rest=front.admin, grpc=0, admin=0, headers={})
    return int(json.loads(admin.call("GET", "/memory").text)["allocated"])


def configuration(front: Front) -> str:
    """All that the admin port shows of the configuration."""
    return Front(rest=front.admin, grpc=0, admin=0, headers={}).call("GET", "/config_dump?include_eds").text


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
