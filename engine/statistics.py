"""Turns what a queue's scripts count into rates and quantiles."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from engine.jobs import Quantiles, QueueLimits, QueuePause, QueueSnapshot, State
from engine.packing import unpack

_MINUTE: Final = 60_000
_COUNTED: Final = (State.WAITING, State.DELAYED, State.ACTIVE, State.COMPLETED, State.FAILED, State.CANCELLED)
_WINDOW: Final = 5
"""Minutes that quantiles look back."""
_STEPS: Final = 4
"""Buckets for each doubling of a duration; see lua/include/tally.lua."""


def read_snapshot(queue: str, answer: Sequence[Any], default_max_active: int) -> QueueSnapshot:
    """A snapshot out of what lua/stats.lua answers."""
    now, counts = int(answer[0]), answer[1:7]
    meta = {answer[7][i].decode(): answer[7][i + 1] for i in range(0, len(answer[7]), 2)}
    oldest, slots, last, set_aside = (
        int(answer[8]),
        [unpack(slot) for slot in answer[9]],
        answer[10].decode(),
        answer[11],
    )
    recent = [slot for slot in slots if now // _MINUTE - slot[0] < _WINDOW]
    return QueueSnapshot(
        name=queue,
        paused="paused" in meta,
        counts={State.BLOCKED: 0, **dict(zip(_COUNTED, counts, strict=True))},
        totals={
            state: int(meta.get(f"total_{state}", 0)) for state in (State.COMPLETED, State.FAILED, State.CANCELLED)
        },
        set_aside=set_aside,
        oldest_waiting_age=max(now - oldest, 0) if oldest else 0,
        completed_per_minute=_per_minute(slots, 1, now),
        failed_per_minute=_per_minute(slots, 2, now),
        wait=_quantiles(slot[4] for slot in recent),
        run=_quantiles(slot[5] for slot in recent),
        limits=QueueLimits(
            max_active=int(meta.get("max_active", default_max_active)),
            rate_max=int(meta.get("rate_max", 0)),
            rate_period=int(meta.get("rate_period", 0)),
        ),
        pause=_pause(meta) if "paused" in meta else None,
        last_event=last,
    )


def _pause(meta: Mapping[str, bytes]) -> QueuePause:
    reason = meta.get("pause_reason", b"").decode("utf-8", "replace")
    return QueuePause(int(meta.get("paused_at", 0)), meta.get("paused_by", b""), reason)


def read_run_times(answers: Iterable[Sequence[Any]]) -> Quantiles:
    """How long attempts ran in several queues together, out of what lua/stats.lua answers for each."""
    histograms = []
    for answer in answers:
        minute = int(answer[0]) // _MINUTE
        histograms += [slot[5] for slot in map(unpack, answer[9]) if minute - slot[0] < _WINDOW]
    return _quantiles(histograms)


def _per_minute(slots: Sequence[Sequence[Any]], column: int, now: int) -> float:
    """The last sixty seconds: this minute, and of the one before the share that still lies within them."""
    by_minute: dict[int, int] = {slot[0]: slot[column] for slot in slots}
    minute, elapsed = divmod(now, _MINUTE)
    return round(by_minute.get(minute, 0) + by_minute.get(minute - 1, 0) * (1 - elapsed / _MINUTE), 1)


def _quantiles(histograms: Iterable[Mapping[str, int] | Sequence[Any]]) -> Quantiles:
    """Of the merged histograms; a value is known to within a bucket, a fifth of its size."""
    merged: dict[int, int] = {}
    for histogram in histograms:
        if isinstance(histogram, Mapping):  # an empty one is packed as a list
            for bucket, count in histogram.items():
                merged[int(bucket)] = merged.get(int(bucket), 0) + count
    total = sum(merged.values())
    if not total:
        return Quantiles()
    ordered = sorted(merged.items())

    def value(share: float) -> float:
        seen = 0
        for bucket, count in ordered:
            seen += count
            if seen >= share * total:
                return round(math.exp2((bucket + 0.5) / _STEPS) - 1, 1)
        raise AssertionError("unreachable: the shares are at most 1")

    return Quantiles(value(0.5), value(0.95), value(0.99))
