"""A real cluster of three nodes, for whoever holds the engine's promises against one."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import ValkeyServer, eventually

SLOTS = 16384
NODES = 3


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ValkeyServer]]:
    """Three masters that share the slots."""
    servers = []
    for _ in range(NODES):
        folder: Path = tmp_path_factory.mktemp("node")
        port = port_with_free_bus()
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        servers.append(ValkeyServer(folder, port, options).start())
    try:
        _join(servers)
        yield servers
    finally:
        for server in servers:
            server.kill()


def port_with_free_bus() -> int:
    """A cluster node also listens 10,000 ports higher."""
    for _ in range(200):
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, socket.socket() as bus, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            return port
    raise AssertionError("no free pair of ports")


def _join(servers: list[ValkeyServer]) -> None:
    clients = [redis.Redis(port=server.port) for server in servers]
    for place, client in enumerate(clients):
        first, last = place * SLOTS // NODES, (place + 1) * SLOTS // NODES - 1
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
    for server in servers[1:]:
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port)

    def agreed() -> bool:
        infos = [client.execute_command("CLUSTER INFO") for client in clients]
        return all(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3" for info in infos)

    asyncio.run(eventually(agreed, what="the nodes to agree"))
    for client in clients:
        client.close()


def cluster_url(nodes: list[ValkeyServer]) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
