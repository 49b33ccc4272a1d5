"""A short run with every kind of fault that needs nothing but what `make setup` installs. `make chaos` runs longer ones."""

import os
import random
from pathlib import Path

import pytest

from tests.chaos.faults import KINDS
from tests.chaos.run import Part, run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]
SECONDS = 60.0
SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))


async def test_every_promise_holds_through_a_minute_of_faults_of_every_kind(tmp_path: Path) -> None:
    print(f"CHAOS_SEED={SEED}")  # noqa: T201  (pytest shows it when the test fails)
    result = await run(
        Part(SEED, [kind for kind, of in KINDS.items() if not of.needs], 1_000_000, SECONDS), tmp_path / "part"
    )
    assert result.errors == []
    assert result.broken == {}
    assert result.counted.total() > 5
    assert result.jobs > 50
