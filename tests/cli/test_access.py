"""Where the commands look for the service and for a token, and what they refuse."""

import json
from pathlib import Path

import pytest

from cli.access import Wishes, access
from cli.exits import CommandError, Exit

TOKEN = "aaa.bbb.ccc"


def told(data_dir: Path, **more: str) -> dict[str, str]:
    return {"DATA_DIR": str(data_dir), **more}


def local_stack(data_dir: Path, address: str = "127.0.0.1:50099", mode: int = 0o600) -> Path:
    path = data_dir / "run" / "operator.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"address": address, "token": TOKEN}))
    path.chmod(mode)
    return path


def test_the_stack_that_runs_here_is_found_without_settings(tmp_path: Path) -> None:
    local_stack(tmp_path)
    found = access(Wishes(), told(tmp_path))
    assert (found.address, found.token) == ("127.0.0.1:50099", TOKEN)
    assert TOKEN not in repr(found)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_or_write_is_not_taken(tmp_path: Path, mode: int) -> None:
    local_stack(tmp_path, mode=mode)
    with pytest.raises(CommandError) as refused:
        access(Wishes(), told(tmp_path))
    assert refused.value.status == Exit.DENIED


@pytest.mark.parametrize("address", ["10.0.0.1:50051", "jobs.example.com:50051", "localhost:50051", "127.0.0.1"])
def test_the_local_token_goes_to_this_machine_alone(tmp_path: Path, address: str) -> None:
    local_stack(tmp_path, address)
    with pytest.raises(CommandError):
        access(Wishes(), told(tmp_path))


def test_the_local_token_goes_nowhere_else_that_is_named(tmp_path: Path) -> None:
    local_stack(tmp_path)
    with pytest.raises(CommandError):
        access(Wishes(address="jobs.example.com:50051"), told(tmp_path))
    assert access(Wishes(), told(tmp_path, QJOBS_TOKEN="own")).token == "own"


def test_a_symbolic_link_or_nonsense_is_no_local_stack(tmp_path: Path) -> None:
    path = local_stack(tmp_path)
    real = tmp_path / "elsewhere.json"
    path.rename(real)
    path.symlink_to(real)
    with pytest.raises(CommandError):
        access(Wishes(), told(tmp_path))
    path.unlink()
    path.write_text("[]")
    path.chmod(0o600)
    with pytest.raises(CommandError):
        access(Wishes(), told(tmp_path))


def test_a_token_may_come_from_a_file_and_is_trimmed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"Bearer {TOKEN}\n")
    assert access(Wishes(token_file=tmp_path / "token"), told(tmp_path)).token == TOKEN


@pytest.mark.parametrize("content", ["", "  \n", "two words", "ümlaut", "a\x00b"])
def test_a_file_without_a_usable_token_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(CommandError) as refused:
        access(Wishes(token_file=tmp_path / "token"), told(tmp_path))
    assert refused.value.status == Exit.USAGE
    assert not content.strip() or content not in str(refused.value)


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(address="nowhere"),
        Wishes(address="http://host:1"),
        Wishes(cert=Path("a")),
        Wishes(tls=False, ca=Path("a")),
        Wishes(ca=Path("/no/such")),
        Wishes(token_file=Path("/no/such")),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(tmp_path: Path, wishes: Wishes) -> None:
    with pytest.raises(CommandError) as refused:
        access(wishes, told(tmp_path, QJOBS_TOKEN=TOKEN))
    assert refused.value.status == Exit.USAGE
