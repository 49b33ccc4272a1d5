"""`make check` sees, without Node, that the board's types were generated from another contract."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from base.settings import PROJECT


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """A copy of the contract's files, in a folder from which the check is run."""
    return Path(shutil.copytree(PROJECT / "proto", tmp_path / "proto"))


def check(contract: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROJECT / "tools" / "board_types.py", "--check"],
        cwd=contract.parent,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'gen'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.families
def test_the_types_are_those_of_this_contract(contract: Path) -> None:
    done = check(contract)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.families
def test_a_changed_contract_is_told_with_the_remedy_and_nothing_is_written(contract: Path) -> None:
    types = PROJECT / "dashboard" / "src" / "gen"
    before = {path: path.read_bytes() for path in types.rglob("*") if path.is_file()}
    with (contract / "qcollector" / "jobs" / "v1" / "job.proto").open("a") as file:
        file.write("// More.\n")
    done = check(contract)
    assert done.returncode == 1, done.stderr
    assert "make gen" in done.stdout
    assert {path: path.read_bytes() for path in types.rglob("*") if path.is_file()} == before


def test_a_file_more_is_a_change_too(contract: Path) -> None:
    (contract / "more.proto").write_text('syntax = "proto3";\n')
    assert check(contract).returncode == 1
