"""Calls that go on through a service that is away for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import qcollector
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub

from client.errors import JobsError, UnavailableError
from client.tracing import interceptors

A = TypeVar("A")

Metadata = tuple[tuple[str, str], ...]

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
KEEPALIVE_MS = 20_000
KEEPALIVE_TIMEOUT_MS = 5_000
"""A connection that is silent for the first while calls are under way is pinged, and given up if it stays silent for the
second, too: a host or router that vanishes says nothing, and a watch would wait forever. The service allows one in 10 s."""
AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
"""How a call ends if the service is away or stops midway. Nothing here cancels a call and then reads its status."""


class Connection:
    """A channel with a token, and the patience to repeat a call that found nobody.

    Only calls that are safe to repeat go through `call`: reads, cancels, and enqueues under a request id.
    """

    def __init__(
        self, address: str, token: str | Callable[[], str], credentials: grpc.ChannelCredentials | None, patience: float
    ) -> None:
        traced = interceptors()
        options: list[tuple[str, int | str]] = [
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),  # until the other host has the ping,
            ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),  # and until the service has answered it
            ("grpc.http2.max_pings_without_data", 0),  # who watches sends nothing, however long
        ]
        if patience:  # whoever has none wants to hear of the first call that fails
            options.append(("grpc.service_config", _service_config()))
        self.channel = (
            grpc.aio.insecure_channel(address, options, interceptors=traced)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials, options, interceptors=traced)
        )
        # A stub of gRPC's own is untyped for asyncio channels.
        self.stub: Any = JobServiceStub(self.channel)
        self._token = token
        self._patience = patience

    @property
    def metadata(self) -> Metadata:
        token = self._token if isinstance(self._token, str) else self._token()
        return (("authorization", f"Bearer {token}"),)

    async def call(self, begin: Callable[[Metadata], Awaitable[A]]) -> A:
        """Awaits what `begin(metadata)` starts, again and again while the service is away.

        Raises:
          UnavailableError: it was still away when the patience was over. A call under way is not cut off then.
          JobsError: it refused the call.
        """
        deadline = time.monotonic() + self._patience
        pause = FIRST_PAUSE
        while True:
            try:
                return await begin(self.metadata)
            except grpc.aio.AioRpcError as error:
                if error.code() not in AWAY:
                    raise JobsError.of(error) from None
                refusal = UnavailableError.of(error)
            wait = max(pause, min(refusal.retry_after or 0, LONGEST_PAUSE))
            if time.monotonic() + wait > deadline:
                raise refusal
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def close(self) -> None:
        await self.channel.close()


def _service_config() -> str:
    """Says which calls gRPC repeats by itself over short gaps. Generated from the contract, the same for every language."""
    return (Path(next(iter(qcollector.__path__))) / "service_config.json").read_text("utf-8")
