"""Where Envoy finds the service: one process or several, by call behind REST_PORT and by connection behind GRPC_PORT."""

import hashlib
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from base.settings import Settings, SettingsError
from service.status import ELSEWHERE
from stack.ports import reachable

CALLS: Final = "service"
"""The cluster to which REST calls go, to one process after the other."""
CONNECTIONS: Final = "service-connections"
"""The cluster to which gRPC connections go, as they are, each to the process that has the fewest."""
RETRIES: Final = 3
"""How often a call is repeated at most: enough to find one process among others that come and go."""
PROBE_SECONDS: Final = 1
PROBE_PATIENCE: Final = 3
"""Seconds that a process may take to say how it is: a loop that is busy for a while is no reason to take it out."""
PROBES_FAILED: Final = 2
"""So many in a row take a process out."""
CONNECT_ATTEMPTS: Final = 10
_NEVER_BEGUN: Final = ("connect-failure", "refused-stream", "reset-before-request", "retriable-headers", "cancelled")
"""Any call may be repeated that found nobody, or was not begun: gRPC's server says CANCELLED of what comes in as it stops."""
BROKEN_OFF: Final = "reset"
"""A process died with the call, which it may have done: for calls that may be repeated."""
_TYPES: Final = "type.googleapis.com/envoy"


@dataclass(frozen=True)
class Upstream:
    """The processes that serve. Names stand for all addresses that the DNS has for them."""

    places: tuple[tuple[str, int], ...]
    takes_grpc: bool = False
    """Whether Envoy listens on GRPC_PORT and hands connections on to them."""

    @classmethod
    def of(cls, addresses: Sequence[str], settings: Settings, *, takes_grpc: bool = False) -> "Upstream":
        """Each `host:port`; none is this machine's own service.

        Raises:
          SettingsError: one is no such address, or Envoy and the service would both listen on GRPC_PORT.
        """
        if not addresses:
            if takes_grpc:
                raise SettingsError("--grpc: GRPC_PORT is Envoy's then. Say by --service where the service listens.")
            return cls(((reachable(settings.bind_host), settings.grpc_port),))
        return cls(tuple(_place(address) for address in addresses), takes_grpc)


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise SettingsError(f"--service {address}: not host:port. Write for example jobs.internal:50051.")
    return host.strip("[]"), int(port)


def clusters(settings: Settings, upstream: Upstream, buffer: int) -> list[dict[str, Any]]:
    """For calls, which may each be as large as `buffer`, and where Envoy takes gRPC, for connections.

    Raises:
      SettingsError: GRPC_TLS_CERT cannot be read.
    """
    tls = _tls(settings)
    # In turn, so that a call which is repeated finds another process.
    calls = _cluster(CALLS, upstream, "round_robin", {}) | {
        "per_connection_buffer_limit_bytes": buffer,
        **({"transport_socket": tls} if tls else {}),
    }
    if not upstream.takes_grpc:
        return [calls]
    # They last, so each counts: with the few that a caller has, taking turns on each of Envoy's threads would share out badly.
    connections = _cluster(CONNECTIONS, upstream, "least_request", {"selection_method": "FULL_SCAN"})
    if tls:  # which is between the caller and the process: only probes speak it themselves
        connections["transport_socket_matches"] = [
            {"name": "probes", "match": {"probes": True}, "transport_socket": tls}
        ]
        connections["health_checks"][0]["transport_socket_match_criteria"] = {"probes": True}
    return [calls, connections]


def _cluster(name: str, upstream: Upstream, policy: str, chosen: dict[str, str]) -> dict[str, Any]:
    http2 = {
        "@type": f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    message = policy.title().replace("_", "")
    balance = {
        "name": f"envoy.load_balancing_policies.{policy}",
        "typed_config": {"@type": f"{_TYPES}.extensions.load_balancing_policies.{policy}.v3.{message}", **chosen},
    }
    most = {"max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000, "max_retries": 10_000}
    return {
        "name": name,
        "type": "STATIC" if all(is_address(host) for host, _ in upstream.places) else "STRICT_DNS",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [most]},
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_time": 60, "keepalive_interval": 10, "keepalive_probes": 3}
        },
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "common_lb_config": {"update_merge_window": "0s"},  # what probes find out holds at once
        "load_balancing_policy": {"policies": [{"typed_extension_config": balance}]},
        "health_checks": [_probe()],
        "outlier_detection": _WHO_REFUSES,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(host, port) for host, port in upstream.places]}],
        },
    }


def _probe() -> dict[str, Any]:
    """grpc.health.v1. While no process passes, calls go to any: what is wrong is for them to say."""
    return {
        "timeout": f"{PROBE_PATIENCE}s",
        "interval": f"{PROBE_SECONDS}s",
        "no_traffic_interval": f"{PROBE_SECONDS}s",
        "unhealthy_threshold": PROBES_FAILED,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }


_WHO_REFUSES: Final = {
    # Between two probes: whoever takes no connections has none, and would be the first to be tried again and again.
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 1,
    "enforcing_consecutive_local_origin_failure": 100,
    "interval": "0.5s",
    "base_ejection_time": f"{PROBE_SECONDS}s",
    "max_ejection_time": f"{2 * PROBE_SECONDS}s",
    "max_ejection_percent": 100,
    # What it answers counts for nothing: it may be the store that is away, for all of them.
    "enforcing_consecutive_5xx": 0,
    "enforcing_consecutive_gateway_failure": 0,
    "enforcing_success_rate": 0,
    "enforcing_local_origin_success_rate": 0,
    "enforcing_failure_percentage": 0,
}


def _endpoint(host: str, port: int) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}


def grpc_listener(settings: Settings) -> dict[str, Any]:
    """GRPC_PORT, where several processes are behind it.

    Connections are handed on as bytes. A proxy that knows HTTP could share out calls, but where a process dies with a stream it
    can only reset that, which gRPC calls INTERNAL, while a connection that ends is UNAVAILABLE. Also, pings reach the process
    itself, and TLS is between it and the caller.
    """
    proxy = {
        "@type": f"{_TYPES}.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "grpc",
        "cluster": CONNECTIONS,
        "max_connect_attempts": CONNECT_ATTEMPTS,
        "backoff_options": {"base_interval": "0.02s", "max_interval": "0.5s"},
        "idle_timeout": "0s",  # the service pings who is silent
    }
    return {
        "name": "grpc",
        "address": {"socket_address": {"address": settings.bind_host, "port_value": settings.grpc_port}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}],
    }


def retry_policy(*, repeatable: bool) -> dict[str, Any]:
    """A call goes to another process where the first has not begun it; where it may be `repeatable`, also if that one died."""
    return {
        "retry_on": ",".join((*_NEVER_BEGUN, *([BROKEN_OFF] if repeatable else []))),
        "retriable_headers": [{"name": ELSEWHERE, "present_match": True}],
        "num_retries": RETRIES,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{_TYPES}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _tls(settings: Settings) -> dict[str, Any] | None:
    """How Envoy speaks to a service with TLS: it knows the service's certificate by its fingerprint, and shows the same."""
    if settings.grpc_tls_cert is None or settings.grpc_tls_key is None:
        return None
    try:
        text = settings.grpc_tls_cert.read_text("ascii")
        first = text[: text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)]
        certificate = ssl.PEM_cert_to_DER_cert(first[first.index(ssl.PEM_HEADER) :])
    except (OSError, ValueError) as error:
        raise SettingsError(f"GRPC_TLS_CERT: {error}. Set it to a readable file with a PEM certificate.") from None
    own = {
        "certificate_chain": {"filename": str(settings.grpc_tls_cert.resolve())},
        "private_key": {"filename": str(settings.grpc_tls_key.resolve())},
    }
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TYPES}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "validation_context": {"verify_certificate_hash": [hashlib.sha256(certificate).hexdigest()]},
                "tls_certificates": [own],
            },
        },
    }
