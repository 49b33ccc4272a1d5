"""What Envoy has to know to trace: the same variables of OpenTelemetry that the other processes read, in its words."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from base.settings import SettingsError
from base.telemetry.tracing import exporters

NAME: Final = "qjobs-envoy"

_DEFAULTS: Final = {"grpc": "http://localhost:4317", "http/protobuf": "http://localhost:4318"}
_PORTS: Final = {"http": 80, "https": 443}
_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True)
class Collector:
    """Where Envoy's spans go, and which calls have any."""

    name: str
    """What Envoy is called in traces."""
    host: str
    port: int
    tls_ca: str
    """The authorities' file; empty where the collector is spoken to in the clear."""
    uri: str
    """Over HTTP, where spans are posted; empty for gRPC."""
    headers: tuple[tuple[str, str], ...]
    percent: float
    """How many of the calls are traced that do not say themselves whether they are."""
    has_attributes: bool
    """Whether OTEL_RESOURCE_ATTRIBUTES is set, which Envoy reads itself."""


def collector(environ: Mapping[str, str] = os.environ) -> Collector | None:
    """None where no traces are asked for, or not by OTLP.

    Raises:
      SettingsError: a variable cannot be used.
    """
    if "otlp" not in exporters(environ):
        return None
    protocol = _of_traces(environ, "PROTOCOL") or "grpc"
    if protocol not in _DEFAULTS:
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: set grpc or http/protobuf.")
    own = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    endpoint = own or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "") or _DEFAULTS[protocol]
    parts = urlsplit(endpoint)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}: not http://host:port or https://host:port. Write {_DEFAULTS[protocol]}, "
            "or the address of your collector."
        )
    path = parts.path if own else f"{parts.path.rstrip('/')}/v1/traces"
    tls_ca = _of_traces(environ, "CERTIFICATE") or ssl.get_default_verify_paths().cafile or ""
    return Collector(
        name=environ.get("OTEL_SERVICE_NAME", "") or NAME,
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        tls_ca=tls_ca if parts.scheme == "https" else "",
        uri=f"{parts.scheme}://{parts.netloc}{path or '/'}" if protocol != "grpc" else "",
        headers=_headers(_of_traces(environ, "HEADERS")),
        percent=_percent(environ),
        has_attributes=bool(environ.get("OTEL_RESOURCE_ATTRIBUTES")),
    )


def _of_traces(environ: Mapping[str, str], what: str) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{what}", "") or environ.get(f"OTEL_EXPORTER_OTLP_{what}", "")


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [pair.partition("=") for pair in text.split(",") if "=" in pair]
    headers = tuple((name.strip().lower(), unquote(value.strip())) for name, _, value in pairs)
    if odd := [name for name, value in headers if "%" in value]:  # Envoy would read it as a format, and send nothing
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_HEADERS: Envoy can send no % in a header; the value of {odd[0]} has one."
        )
    return headers


def _percent(environ: Mapping[str, str]) -> float:
    """A caller's own decision goes before it, as with the samplers named `parentbased_…`."""
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").removeprefix("parentbased_")
    if sampler == "always_off":
        return 0.0
    if sampler != "traceidratio":
        return _PERCENT
    try:
        share = float(environ.get("OTEL_TRACES_SAMPLER_ARG", "") or 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise SettingsError(f"OTEL_TRACES_SAMPLER_ARG={environ['OTEL_TRACES_SAMPLER_ARG']}: not a share from 0 to 1.")
    return share * _PERCENT
