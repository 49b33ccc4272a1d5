"""Turns what a queue's scripts count into rates and quantiles."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from engine.jobs import Quantiles, QueueLimits, QueuePause, QueueSnapshot, State
from engine.packing import unpack
from engine.schema import MinuteSlot, Statistics

_MINUTE: Final = 60_000
_WINDOW: Final = 5
"""Minutes that quantiles look back."""
_STEPS: Final = 4
"""Buckets for each doubling of a duration; see lua/include/tally.lua."""


def read_snapshot(queue: str, answer: Sequence[Any], default_max_active: int) -> QueueSnapshot:
    """A snapshot out of what lua/stats.lua answers."""
    told = Statistics(*answer)
    now, oldest = int(told.now), int(told.oldest)
    meta = {told.meta[i].decode(): told.meta[i + 1] for i in range(0, len(told.meta), 2)}
    slots = _slots(told)
    recent = _recent(slots, now)
    return QueueSnapshot(
        name=queue,
        paused="paused" in meta,
        counts={
            State.WAITING: told.waiting,
            State.DELAYED: told.delayed,
            State.ACTIVE: told.active,
            State.COMPLETED: told.completed,
            State.FAILED: told.failed,
            State.CANCELLED: told.cancelled,
            State.BLOCKED: 0,
        },
        totals={
            state: int(meta.get(f"total_{state}", 0)) for state in (State.COMPLETED, State.FAILED, State.CANCELLED)
        },
        set_aside=told.set_aside,
        oldest_waiting_age=max(now - oldest, 0) if oldest else 0,
        completed_per_minute=_per_minute({slot.minute: slot.completed for slot in slots}, now),
        failed_per_minute=_per_minute({slot.minute: slot.failed for slot in slots}, now),
        wait=_quantiles(slot.waits for slot in recent),
        run=_quantiles(slot.runs for slot in recent),
        limits=QueueLimits(
            max_active=int(meta.get("max_active", default_max_active)),
            rate_max=int(meta.get("rate_max", 0)),
            rate_period=int(meta.get("rate_period", 0)),
        ),
        pause=_pause(meta) if "paused" in meta else None,
        last_event=told.last_event.decode(),
    )


def _pause(meta: Mapping[str, bytes]) -> QueuePause:
    reason = meta.get("pause_reason", b"").decode("utf-8", "replace")
    return QueuePause(int(meta.get("paused_at", 0)), meta.get("paused_by", b""), reason)


def read_run_times(answers: Iterable[Sequence[Any]]) -> Quantiles:
    """How long attempts ran in several queues together, out of what lua/stats.lua answers for each."""
    told = [Statistics(*answer) for answer in answers]
    return _quantiles(slot.runs for one in told for slot in _recent(_slots(one), int(one.now)))


def _slots(told: Statistics) -> list[MinuteSlot]:
    return [MinuteSlot(*unpack(slot)) for slot in told.slots]


def _recent(slots: Iterable[MinuteSlot], now: int) -> list[MinuteSlot]:
    return [slot for slot in slots if now // _MINUTE - slot.minute < _WINDOW]


def _per_minute(by_minute: Mapping[int, int], now: int) -> float:
    """The last sixty seconds: this minute, and of the one before the share that still lies within them."""
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
