"""What needs root and Debian packages: hosts that are parted, a clock that is ahead, a disk that is full."""

from pathlib import Path

import pytest

from tests.chaos.run import Part, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


async def test_every_promise_holds_between_parted_hosts_with_other_clocks_and_on_a_full_disk(tmp_path: Path) -> None:
    part = Part(1, ["partition", "full disk"], 6, 40, ahead=90)
    result = await run(part, tmp_path / "part")
    assert result.errors == []
    assert result.broken == {}
    assert result.counted.total() > 0
