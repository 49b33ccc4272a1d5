"""How Envoy verifies the tokens of callers, before it holds anything of a body: by the keys of the service, in Envoy's words.

The service verifies each token again, and checks what Envoy doesn't know: roles, subjects, refresh tokens.
"""

import base64
import json
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from base.settings import Settings, SettingsError
from service.auth import CLOCK_SKEW
from service.interceptor.interceptor import OPEN_SERVICES
from service.keys import COOLDOWN_SECONDS, FETCH_SECONDS, MAX_SET_BYTES, SECRET_ALGORITHM, signing_keys
from stack.served_files import ServedFile

TOKEN_HEADER: Final = "x-qjobs-token"  # noqa: S105  (a header's name)
"""Where envoy/headers.lua puts the token. What callers send under this name is dropped."""
FAILURES: Final = ("secret", "public")
"""Envoy's names for the two kinds of key, and for why a token was refused by each."""
_SECRET, _PUBLIC = FAILURES
KEY_FILE: Final = "token-key.json"
DOWNLOADS: Final = "/api/v1/queue/[^/]+/jobs/[^/]+/result"
DOWNLOAD_PARAMETERS: Final = ("downloadToken", "download_token")
"""A signed link: the service verifies what this query parameter holds."""
REMEMBERED: Final = 1000
"""Tokens whose signature by a public key is not verified again."""
REFETCH_SECONDS: Final = 5
"""How soon keys that could not be fetched are asked for again."""
FILE_SECONDS: Final = 5
"""How soon a new key in a file is known."""
_AUTHORITIES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_TYPES: Final = "type.googleapis.com/envoy"


@dataclass(frozen=True)
class TokenCheck:
    """Parts of Envoy's configuration."""

    filter: dict[str, Any]
    listeners: tuple[dict[str, Any], ...]
    clusters: tuple[dict[str, Any], ...]


def token_check(settings: Settings, folder: Path, served: Iterable[ServedFile]) -> TokenCheck:
    """What verifies tokens; writes the key of JWT_SECRET into `folder`, for this user alone to read.

    Raises:
      SettingsError: JWT_SECRET or JWT_JWKS cannot be used, or neither is set.
    """
    signing_keys(settings)
    providers: dict[str, dict[str, Any]] = {}
    listeners: tuple[dict[str, Any], ...] = ()
    clusters: tuple[dict[str, Any], ...] = ()
    key_file = folder / KEY_FILE
    if settings.jwt_secret is None:
        key_file.unlink(missing_ok=True)
    else:
        _write_key(key_file, settings.jwt_secret.get_secret_value())
        providers[_SECRET] = {"local_jwks": {"filename": str(key_file)}}
    if settings.jwt_jwks is not None and settings.jwt_jwks.startswith("https://"):
        providers[_PUBLIC] = _fetched(settings.jwt_jwks, COOLDOWN_SECONDS) | _REMEMBERING
        clusters = (_issuer(settings.jwt_jwks),)
    elif settings.jwt_jwks is not None:
        providers[_PUBLIC] = _fetched("http://keys/", FILE_SECONDS) | _REMEMBERING
        listeners = (_file_listener(Path(settings.jwt_jwks).absolute()),)
        clusters = (_FILE_CLUSTER,)
    for name, provider in providers.items():
        provider.update(_narrowed(settings), failed_status_in_metadata=name)
    return TokenCheck(_filter(providers, list(_rules(providers, served))), listeners, clusters)


_REMEMBERING: Final = {"jwt_cache_config": {"jwt_cache_size": REMEMBERED}}
_FILE_CLUSTER: Final = {
    "name": "keys",
    "type": "STATIC",
    "load_assignment": {
        "cluster_name": "keys",
        "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "keys"}}}}]}
        ],
    },
}


def _write_key(path: Path, secret: str) -> None:
    """As a file apart, since Envoy's admin port shows its configuration. It is in place whole or not at all."""
    key = base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(json.dumps({"keys": [{"kty": "oct", "alg": SECRET_ALGORITHM, "k": key}]}), "ascii")
    draft.replace(path)


def _narrowed(settings: Settings) -> dict[str, Any]:
    """What holds for tokens under either kind of key."""
    return {
        "from_headers": [{"name": TOKEN_HEADER}],
        "forward": True,  # the script behind the check takes the header away
        "require_expiration": True,
        "clock_skew_seconds": CLOCK_SKEW,
        **({"issuer": settings.jwt_issuer} if settings.jwt_issuer is not None else {}),
        **({"audiences": [settings.jwt_audience]} if settings.jwt_audience is not None else {}),
    }


def _filter(providers: dict[str, dict[str, Any]], rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@type": f"{_TYPES}.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": providers,
        "rules": rules,
        "bypass_cors_preflight": True,
    }


def _rules(providers: Iterable[str], served: Iterable[ServedFile]) -> Iterator[dict[str, Any]]:
    """Which requests need a token: the first rule that fits decides."""
    named = [{"provider_name": name} for name in providers]
    token = {"requires": named[0] if len(named) == 1 else {"requires_any": {"requirements": named}}}
    reads = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
    for file in served:
        yield {"match": {"path": file.path, "headers": [reads]}}
    for prefix in OPEN_SERVICES:
        yield {"match": {"prefix": prefix}}
    for parameter in DOWNLOAD_PARAMETERS:
        yield {
            "match": {
                "safe_regex": {"regex": DOWNLOADS},
                "headers": [
                    {"name": ":method", "string_match": {"exact": "GET"}},
                    {"name": "authorization", "present_match": False},
                ],
                "query_parameters": [{"name": parameter, "present_match": True}],
            }
        }
    yield {"match": {"prefix": "/api/"}} | token
    yield {  # what is nothing here: it is answered with 404 as soon as its head is read
        "match": {
            "prefix": "/",
            "headers": [
                reads,
                {
                    "name": "content-type",
                    "string_match": {"prefix": "application/grpc"},
                    "invert_match": True,
                    "treat_missing_header_as_empty": True,
                },
            ],
        }
    }
    yield {"match": {"prefix": "/"}} | token


def _fetched(uri: str, every_seconds: float) -> dict[str, Any]:
    """Keys that Envoy fetches by itself and goes on using while they cannot be fetched. It starts without them."""
    return {
        "remote_jwks": {
            "http_uri": {
                "uri": uri,
                "cluster": "keys",
                "timeout": f"{FETCH_SECONDS}s",
            },
            "cache_duration": f"{every_seconds}s",
            "async_fetch": {"fast_listener": True, "failed_refetch_duration": f"{REFETCH_SECONDS}s"},
        }
    }


def _file_listener(file: Path) -> dict[str, Any]:
    """Serves the file to Envoy itself, on no port: keys in files are read once, those from an address again and again."""
    return {
        "name": "keys",
        "internal_listener": {},
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": {
                            "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                            "stat_prefix": "keys",
                            "http_filters": [
                                {
                                    "name": "envoy.filters.http.router",
                                    "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.router.v3.Router"},
                                }
                            ],
                            "route_config": {
                                "max_direct_response_body_size_bytes": MAX_SET_BYTES,
                                "virtual_hosts": [
                                    {
                                        "name": "keys",
                                        "domains": ["*"],
                                        "routes": [{"match": {"prefix": "/"}, "direct_response": _content(file)}],
                                    }
                                ],
                            },
                        },
                    }
                ]
            }
        ],
    }


def _content(file: Path) -> dict[str, Any]:
    return {
        "status": 200,
        "body": {"filename": str(file), "watched_directory": {"path": str(file.parent)}},
    }


def _issuer(uri: str) -> dict[str, Any]:
    """The cluster of an https address, whose certificate is verified."""
    parts = urlsplit(uri)
    try:
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        host, port = None, 0
    if not host:
        raise SettingsError(f"JWT_JWKS={uri}: no such address. Write https://host/path, or name a file.")
    return {
        "name": "keys",
        "type": "STRICT_DNS",
        "dns_lookup_family": "ALL",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": "keys",
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}]}
            ],
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{_TYPES}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": host,
                "auto_sni_san_validation": True,
                "common_tls_context": {"validation_context": {"trusted_ca": {"filename": _authorities()}}},
            },
        },
    }


def _authorities() -> str:
    """The file with the authorities that this machine trusts."""
    places = (ssl.get_default_verify_paths().cafile, *_AUTHORITIES)
    for place in places:
        if place and Path(place).is_file():
            return place
    raise SettingsError(
        "JWT_JWKS: no file with certificate authorities is on this machine, so nobody at that address could be trusted. "
        "Install the package ca-certificates, or set SSL_CERT_FILE to such a file."
    )
