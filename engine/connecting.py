"""From the settings to the client library's own client: for one server, Sentinel or Cluster, with TLS and login."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr
from redis import exceptions as redis_errors
from redis.asyncio import Connection, Redis, RedisCluster, SSLConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.maint_notifications import MaintNotificationsConfig

from base.settings import Settings, SettingsError


def connect(settings: Settings) -> "Redis | RedisCluster":
    """A client that connects when it is first used.

    REDIS_URL takes redis://, rediss://, redis+sentinel://host:port,…/service and redis+cluster://host:port,… (with an
    `s` after `redis` for TLS); without it REDIS_HOST and REDIS_PORT are one server. A login that the URL has none of is
    that of REDIS_USERNAME and REDIS_PASSWORD.

    Raises:
      SettingsError: REDIS_URL is none of these.
    """
    if settings.redis_url is None:
        place: dict[str, Any] = {
            "host": settings.redis_host,
            "port": settings.redis_port,
            "db": settings.redis_queue_db,
        }
        return _with_own_connections(
            _Server(**place, **_login(settings, ""), **_single(settings, tls=False)), tls=False
        )
    parts = urlsplit(settings.redis_url.get_secret_value())
    base, _, kind = parts.scheme.partition("+")
    if base not in {"redis", "rediss", "valkey", "valkeys"} or kind not in {"", "sentinel", "cluster"}:
        raise SettingsError(
            "REDIS_URL: begins with neither redis://, rediss://, redis+sentinel:// nor redis+cluster://. "
            "Write for example redis://:password@host:6379/1."
        )
    tls = base in {"rediss", "valkeys"}
    login, _, places = parts.netloc.rpartition("@")
    access = _login(settings, login)
    if kind == "cluster":
        return _cluster(settings, places, access, tls=tls)
    if kind == "sentinel":
        return _by_sentinel(settings, places, parts.path, access, tls=tls)
    return _server(settings, parts, access, tls=tls)


def _server(settings: Settings, parts: SplitResult, access: dict[str, Any], *, tls: bool) -> "Redis":
    path = parts.path if parts.path.strip("/") else f"/{settings.redis_queue_db}"
    url = parts._replace(scheme="rediss" if tls else "redis", path=path).geturl()
    client: Redis = _Server.from_url(url, **{**access, **_single(settings, tls=tls)})
    return _with_own_connections(client, tls=tls)


class _Connection(AbstractConnection):
    """Can be cancelled while it sends, and packs commands as fast as the library's synchronous client does.

    The library sends within `asyncio.wait_for`, which on Python 3.11 swallows a cancel that arrives just when the send has
    ended: the caller then waits for the answer, to a blocking command for seconds, and goes on as if it was not cancelled.
    """

    _packer = HiredisRespSerializer()

    def pack_command(self, *args: Any) -> list[bytes]:
        # A script has some thirty keys and arguments; packed in Python they cost a third of a call's time.
        packed: list[bytes] = self._packer.pack(*args)
        return packed

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        seconds, self.socket_timeout = self.socket_timeout, None  # without one it sends directly
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health)
        finally:
            self.socket_timeout = seconds


class _Plain(_Connection, Connection): ...


class _Tls(_Connection, SSLConnection): ...


class _Managed(_Connection, SentinelManagedConnection): ...


class _ManagedTls(_Connection, SentinelManagedSSLConnection): ...


def _with_own_connections(server: "Redis", *, tls: bool) -> "Redis":
    server.connection_pool.connection_class = _Tls if tls else _Plain
    return server


@contextmanager
def closed_connections_told() -> Iterator[None]:
    """Turns the errors of a connection that is closed under a call into the library's ConnectionError.

    The library lets those of its socket through: uvloop's has no handle any more, or another call of a cluster's client
    has noticed that the node is lost, and has taken the socket away.
    """
    try:
        yield
    except (AttributeError, RuntimeError, TypeError) as error:
        if "closed" not in str(error) and "NoneType" not in str(error):
            raise
        raise redis_errors.ConnectionError("the connection was closed meanwhile") from error


class _Server(Redis):
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with closed_connections_told():
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


class _Cluster(RedisCluster):
    # A call that a node has not answered in time is not repeated: each further try would keep the caller waiting as long.
    ERRORS_ALLOW_RETRY: Any = tuple(
        error for error in RedisCluster.ERRORS_ALLOW_RETRY if error is not redis_errors.TimeoutError
    )

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with closed_connections_told():
            return await super().execute_command(*args, **options)


def _cluster(settings: Settings, places: str, access: dict[str, Any], *, tls: bool) -> "RedisCluster":
    nodes = [ClusterNode(host, port) for host, port in _hosts(places)]
    limit = settings.redis_max_connections
    cluster = _Cluster(
        startup_nodes=nodes,
        max_connections=limit,
        ssl=tls,
        # A slot that has moved is looked up by itself: to learn of all anew, the client would cut its own calls off.
        reinitialize_steps=0,
        **access,
        **_common(settings, tls=tls),
    )
    cluster.connection_kwargs["connection_class"] = _Tls if tls else _Plain
    for node in cluster.nodes_manager.startup_nodes.values():
        node.connection_class = cluster.connection_kwargs["connection_class"]
    return cluster


def _by_sentinel(settings: Settings, places: str, path: str, access: dict[str, Any], *, tls: bool) -> "Redis":
    service, _, database = path.strip("/").partition("/")
    asking = {
        **_common(settings, tls=tls),
        **_named(settings.redis_sentinel_username, settings.redis_sentinel_password),
        **({"ssl": True} if tls else {}),
    }
    sentinel: Any = Sentinel(_hosts(places), sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    number = int(database or settings.redis_queue_db)
    master: Redis = sentinel.master_for(
        service or "mymaster",
        redis_class=_Server,
        connection_class=_ManagedTls if tls else _Managed,
        db=number,
        ssl=tls,
        **access,
        **_single(settings, tls=tls),
    )
    return master


def _common(settings: Settings, *, tls: bool) -> dict[str, Any]:
    options = {
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 0,
        # These notifications are Redis Enterprise's. While they are on, the pool hands out connections that the server has
        # closed long ago, so that after its restart each of them costs a caller an error.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    return {**options, "ssl_ca_certs": str(settings.redis_tls_ca)} if tls and settings.redis_tls_ca else options


def _single(settings: Settings, *, tls: bool) -> dict[str, Any]:
    """For a client that has one pool. Whether to try again is for the callers of the service to say."""
    limit = settings.redis_max_connections
    return {**_common(settings, tls=tls), "max_connections": limit, "retry": Retry(NoBackoff(), 0)}


def _login(settings: Settings, in_url: str) -> dict[str, Any]:
    if not in_url:
        return _named(settings.redis_username, settings.redis_password)
    username, _, password = (unquote(part) for part in in_url.partition(":"))
    return {"username": username or None, "password": password or None}


def _named(username: str | None, password: SecretStr | None) -> dict[str, Any]:
    return {"username": username, "password": password.get_secret_value() if password else None}


def _hosts(places: str) -> list[tuple[str, int]]:
    return [_host(place) for place in places.split(",")]


def _host(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit():
        raise SettingsError(f"REDIS_URL: {place!r} is not host:port. List the nodes as host:port,host:port.")
    return host.strip("[]"), int(port)
