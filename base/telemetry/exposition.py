"""The port beside a process's work: /metrics for Prometheus, /healthz and /readyz for probes.

It is answered by threads of its own, so that a busy event loop delays neither, and by nothing but the standard library's
server: it tells no secret, takes no input but a path, and belongs on an inner network.
"""

import asyncio
import gzip
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import structlog
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from base.settings import Settings, SettingsError

REQUESTS_AT_ONCE: Final = 8
"""Further ones wait: whoever opens connections and says nothing must not use up the process's threads."""
SILENCE_SECONDS: Final = 5.0
"""How long a caller may take for its request."""

_TEXT: Final = "text/plain; charset=utf-8"
_log = structlog.get_logger(__name__)

Problem = Callable[[], str]
"""Says what is wrong; empty if nothing is."""
Answer = tuple[HTTPStatus, str, bytes]


def _nothing_is_wrong() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Probes:
    """What an orchestrator asks a process."""

    live: Problem = _nothing_is_wrong
    """Why the process should be started again."""
    ready: Problem = _nothing_is_wrong
    """Why it should get no work now."""


@asynccontextmanager
async def exposed(settings: Settings, registry: CollectorRegistry, probes: Probes) -> AsyncIterator[int]:
    """Serves on BIND_HOST and METRICS_PORT for as long as the block lasts; the port, 0 where it is switched off.

    Raises:
      SettingsError: the port is taken, or cannot be used.
    """
    if settings.metrics_port == 0:
        yield 0
        return
    server = _bind(settings, registry, probes)
    thread = threading.Thread(target=server.serve_forever, name="metrics", kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        # Off the loop: a request that is being answered may itself wait for the loop.
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


def _bind(settings: Settings, registry: CollectorRegistry, probes: Probes) -> "_Server":
    address = (settings.bind_host, settings.metrics_port)
    try:
        return _Server(address, registry, probes)
    except OSError as error:
        raise SettingsError(
            f"BIND_HOST and METRICS_PORT: {address[0]}:{address[1]} cannot be bound ({error.strerror or error}). Each process "
            "of a host needs a port of its own: set another METRICS_PORT, or 0 to have no metrics."
        ) from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], registry: CollectorRegistry, probes: Probes) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.registry = registry
        self.probes = probes
        self._room = threading.BoundedSemaphore(REQUESTS_AT_ONCE)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """As the base does, without asking the DNS for the host's name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._room.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  (the base's signature)
        """A caller that hangs up is nobody's fault."""
        error = sys.exception()
        if not isinstance(error, OSError):
            _log.error("metrics_failed", exc_info=error)

    def answer(self, path: str, accept: str) -> Answer:
        match path:
            case "/metrics":
                encode, content_type = choose_encoder(accept)
                return HTTPStatus.OK, content_type, encode(self.registry)
            case "/healthz":
                return _verdict(self.probes.live())
            case "/readyz":
                return _verdict(self.probes.live() or self.probes.ready())
            case _:
                return HTTPStatus.NOT_FOUND, _TEXT, b"There are /metrics, /healthz and /readyz.\n"


def _verdict(problem: str) -> Answer:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
    return status, _TEXT, f"{problem or 'ok'}\n".encode()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SILENCE_SECONDS
    server_version = "qjobs"
    sys_version = ""

    def do_GET(self) -> None:
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        self._send(with_body=False)

    def _send(self, *, with_body: bool) -> None:
        status, content_type, body = self.server.answer(self.path.partition("?")[0], self.headers.get("Accept", ""))
        self.send_response(status)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Probes and scrapes are no events."""
