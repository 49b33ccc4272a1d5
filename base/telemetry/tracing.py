"""Traces, where OpenTelemetry's standard variables ask for them.

Where they do not, nothing of OpenTelemetry is imported, and `begin` answers a span that does nothing.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from base.settings import SettingsError
from base.telemetry.spans import NO_SPAN, Kind, Span, Value
from base.telemetry.trace_context import TraceContext

if TYPE_CHECKING:
    from base.telemetry.otel import Tracer

CLOSE_SECONDS: Final = 2.0
"""How long the end of a process waits for the collector."""
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXPORTERS: Final = ("otlp", "console")
_NONE: Final = "none"


_tracer: "Tracer | None" = None


def exporters(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Where spans are to go: "otlp", "console", both, or nowhere.

    Raises:
      SettingsError: OTEL_TRACES_EXPORTER names something else.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    named = environ.get("OTEL_TRACES_EXPORTER", "")
    if not named:
        named = "otlp" if any(environ.get(variable) for variable in _ENDPOINTS) else _NONE
    asked = {word.strip() for word in named.split(",")} - {_NONE, ""}
    if unknown := asked.difference(_EXPORTERS):
        raise SettingsError(
            f"OTEL_TRACES_EXPORTER={named}: {', '.join(sorted(unknown))} is not known. Set otlp, console, or none."
        )
    return tuple(sorted(asked))


def start(process: str) -> None:
    """Has this process trace if the environment asks for it; it is named `qjobs-<process>` unless OTEL_SERVICE_NAME says.

    Raises:
      SettingsError: a variable cannot be used, or OpenTelemetry is not installed.
    """
    asked = exporters()
    if not asked:
        return
    try:
        from base.telemetry import otel  # noqa: PLC0415  (imported only where it is asked for)
    except ImportError as error:
        raise SettingsError(
            f"OTEL_*: traces are asked for, but {error.name} is not installed. Install the project with its extra "
            "`tracing`, or unset OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_ENDPOINT."
        ) from None
    use(otel.exporting(f"qjobs-{process}", asked))


def use(tracer: "Tracer | None") -> None:
    """Makes it the process's tracer."""
    global _tracer  # noqa: PLW0603  (one for each process, like its log)
    _tracer = tracer


def stop() -> None:
    """Hands over the spans that are left, for a short while at most, and traces no more."""
    tracer = _tracer
    use(None)
    if tracer is not None:
        tracer.close(CLOSE_SECONDS)


def active() -> bool:
    """Whether anything is traced: attributes that cost something need not be gathered where nothing is."""
    return _tracer is not None


def begin(name: str, kind: Kind, attributes: Mapping[str, Value], parent: TraceContext | None = None) -> Span:
    """A span under `parent`, or under the current one; `NO_TRACE` begins a trace. End it in the task that began it."""
    return NO_SPAN if _tracer is None else _tracer.begin(name, kind, attributes, parent)
