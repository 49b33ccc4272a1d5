"""What OpenTelemetry's variables amount to, for our processes and for Envoy; one that cannot be used says so."""

from collections.abc import Mapping

import pytest

from base.settings import SettingsError
from base.telemetry.tracing import exporters
from stack.envoy_tracing import collector

OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}
RATIO = {**OTLP, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, ()),
        (OTLP, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4317"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",)),
        ({**OTLP, "OTEL_TRACES_EXPORTER": "console"}, ("console",)),
        ({**OTLP, "OTEL_TRACES_EXPORTER": "console, otlp"}, ("console", "otlp")),
        ({**OTLP, "OTEL_TRACES_EXPORTER": "none"}, ()),
        ({**OTLP, "OTEL_SDK_DISABLED": "TRUE"}, ()),
    ],
)
def test_traces_go_where_the_variables_say_and_nowhere_by_default(
    environ: Mapping[str, str], asked: tuple[str, ...]
) -> None:
    assert exporters(environ) == asked
    assert (collector(environ) is not None) == ("otlp" in asked)


@pytest.mark.parametrize(
    ("environ", "host", "port", "uri"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "localhost", 4317, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://in.example"}, "in.example", 443, ""),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://in.example:4318/", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            *("in.example", 4318, "http://in.example:4318/v1/traces"),
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://in.example/here",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            *("in.example", 80, "http://in.example/here"),
        ),
    ],
)
def test_envoy_sends_its_spans_where_the_others_do(environ: Mapping[str, str], host: str, port: int, uri: str) -> None:
    found = collector(environ)
    assert found is not None
    assert (found.host, found.port, found.uri) == (host, port, uri)
    assert bool(found.tls_ca) == environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").startswith("https:")


@pytest.mark.parametrize(
    ("environ", "percent"),
    [
        (OTLP, 100),
        ({**OTLP, "OTEL_TRACES_SAMPLER": "always_off"}, 0),
        ({**RATIO, "OTEL_TRACES_SAMPLER_ARG": "0.25"}, 25),
        (RATIO, 100),
    ],
)
def test_envoy_begins_as_many_traces_as_the_sampler_says(environ: Mapping[str, str], percent: float) -> None:
    found = collector(environ)
    assert found is not None
    assert found.percent == percent


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "set grpc or http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "not http://host:port"),
        ({**RATIO, "OTEL_TRACES_SAMPLER_ARG": "half"}, "OTEL_TRACES_SAMPLER_ARG=half"),
        ({**RATIO, "OTEL_TRACES_SAMPLER_ARG": "7"}, "OTEL_TRACES_SAMPLER_ARG=7"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_HEADERS": "key=a%25b"}, "OTEL_EXPORTER_OTLP_HEADERS"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_with_what_to_do(environ: Mapping[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace(".", r"\.")):
        collector(environ)


def test_a_secret_in_a_header_is_not_in_the_complaint_about_it() -> None:
    with pytest.raises(SettingsError) as caught:
        collector({**OTLP, "OTEL_EXPORTER_OTLP_HEADERS": "key=secret%25"})
    assert "secret" not in str(caught.value)
