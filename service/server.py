"""The gRPC server: its options, its certificates, its port."""

import ssl
from pathlib import Path
from typing import Final

import grpc
from grpc import aio

from base.settings import Settings, SettingsError
from service.interceptor.interceptor import CallInterceptor

MAX_METADATA_BYTES: Final = 64 * 1024
_SECOND: Final = 1000


def new_server(settings: Settings, boundary: CallInterceptor) -> aio.Server:
    """A server that has no services yet and does not listen."""
    options = (
        # Without this a second server would share the port unnoticed, and each would get some of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.grpc_max_message_bytes),
        ("grpc.max_send_message_length", settings.grpc_max_message_bytes),
        # Beyond the default of 8 KB gRPC itself refuses calls, and does so at random: it is for us to say what is wrong.
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
        ("grpc.keepalive_time_ms", 60 * _SECOND),
        ("grpc.keepalive_timeout_ms", 20 * _SECOND),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10 * _SECOND),
    )
    return aio.server(interceptors=(boundary,), options=options)


def listen(server: aio.Server, settings: Settings) -> int:
    """Binds the server to its port, which it answers.

    Raises:
      SettingsError: the port is taken, or the certificates cannot be used.
    """
    host = f"[{settings.bind_host}]" if ":" in settings.bind_host else settings.bind_host
    address = f"{host}:{settings.grpc_port}"
    credentials = _credentials(settings)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError:
        raise SettingsError(
            f"BIND_HOST and GRPC_PORT: {address} cannot be bound. Most likely another process listens there; stop it "
            "or set another GRPC_PORT."
        ) from None


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    if settings.grpc_tls_cert is None or settings.grpc_tls_key is None:
        return None
    chain = _read("GRPC_TLS_CERT", settings.grpc_tls_cert)
    key = _read("GRPC_TLS_KEY", settings.grpc_tls_key)
    authority = settings.grpc_tls_client_ca
    _check_pair(settings.grpc_tls_cert, settings.grpc_tls_key)
    return grpc.ssl_server_credentials(
        [(key, chain)],
        root_certificates=_read("GRPC_TLS_CLIENT_CA", authority) if authority else None,
        require_client_auth=authority is not None,
    )


def _check_pair(certificate: Path, key: Path) -> None:
    """Says what is wrong, where gRPC would say that it cannot bind the port. Raises SettingsError."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise SettingsError(
            f"GRPC_TLS_CERT={certificate} and GRPC_TLS_KEY={key}: {error.reason or 'no PEM'}. Name a certificate chain and "
            "the unencrypted key that it belongs to, both as PEM."
        ) from None


def _read(variable: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{variable}={path}: {error.strerror}. Name a PEM file that this user can read.") from None
