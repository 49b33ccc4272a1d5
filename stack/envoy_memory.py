"""What Envoy does as its memory fills: what it holds for one caller must not take it from the others."""

from typing import Any, Final

from base.settings import Settings

OUTSIDE_HEAP: Final = 80 * 1024 * 1024
"""Of Envoy's memory: its program, its scripts, its threads."""
BYTES_A_CONNECTION: Final = 64 * 1024
"""What a connection may take before it has sent a whole head."""
MOST_CONNECTIONS: Final = 20_000
LOOK_SECONDS: Final = 0.05
"""How often memory is looked at. What arrives in between adds to what was there."""
TRACKED_FROM: Final = 17
"""Streams that hold 2 to the power of it, 128 KiB, count as large; the largest, above 8 MiB, go first."""
SMALL_BODY: Final = 64 * 1024
"""Bodies up to it still find room when larger ones find none any more."""
ROOM_FOR_LARGE: Final = 0.4
ROOM_FOR_ALL: Final = 0.6
"""The shares of the heap that bodies may take while they arrive."""

_HEAP: Final = "envoy.resource_monitors.fixed_heap"
_TYPES: Final = "type.googleapis.com/envoy"


def bounds(settings: Settings, threads: int) -> str:
    """What envoy/admission.lua has to know: each thread counts for itself."""
    room = (settings.envoy_memory_bytes - OUTSIDE_HEAP) // threads
    known = {
        "MAX_BODY": settings.rest_max_body_bytes,
        "SMALL_BODY": SMALL_BODY,
        "ROOM_FOR_LARGE": max(int(room * ROOM_FOR_LARGE), settings.rest_max_body_bytes),
        "ROOM_FOR_ALL": max(int(room * ROOM_FOR_ALL), settings.rest_max_body_bytes + SMALL_BODY),
    }
    return "".join(f"local {name} = {value}\n" for name, value in known.items())


def overload_manager(memory: int) -> dict[str, Any]:
    """Envoy's `overload_manager` for an Envoy that may take so many bytes."""
    return {
        "refresh_interval": f"{LOOK_SECONDS}s",
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": TRACKED_FROM},
        "resource_monitors": [
            _monitor(_HEAP, "fixed_heap.v3.FixedHeapConfig", {"max_heap_size_bytes": memory - OUTSIDE_HEAP}),
            _monitor(
                "envoy.resource_monitors.global_downstream_max_connections",
                "downstream_connections.v3.DownstreamConnectionsConfig",
                {"max_active_downstream_connections": min(MOST_CONNECTIONS, memory // BYTES_A_CONNECTION)},
            ),
        ],
        "actions": [
            # Idle connections end sooner, then calls that hold much, the largest first: whoever holds little goes on.
            {**_at("reduce_timeouts", scaled=(0.6, 0.8)), "typed_config": _SHORTENED},
            _at("reset_high_memory_stream", scaled=(0.7, 0.85)),
            _at("shrink_heap", 0.7),
            # If that is not enough, nobody else is let in.
            _at("stop_accepting_requests", 0.88),
            _at("disable_http_keepalive", 0.88),
            _at("stop_accepting_connections", 0.92),
            _at("reject_incoming_connections", 0.95),
        ],
    }


_SHORTENED: Final = {
    "@type": f"{_TYPES}.config.overload.v3.ScaleTimersOverloadActionConfig",
    "timer_scale_factors": [{"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": "2s"}],
}


def _monitor(name: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{_TYPES}.extensions.resource_monitors.{kind}", **config}}


def _at(action: str, threshold: float = 0, scaled: tuple[float, float] | None = None) -> dict[str, Any]:
    """An action that memory triggers: from a share of the bound on, or rising between two."""
    if scaled is None:
        trigger: dict[str, Any] = {"threshold": {"value": threshold}}
    else:
        trigger = {"scaled": {"scaling_threshold": scaled[0], "saturation_threshold": scaled[1]}}
    return {"name": f"envoy.overload_actions.{action}", "triggers": [{"name": _HEAP, **trigger}]}
