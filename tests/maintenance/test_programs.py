"""Of the programs that are installed, the oldest that knows the server's version dumps and restores it."""

from pathlib import Path

import pytest

from families.system.backup import dump
from families.system.backup.dump import DumpError, program


def install(folder: Path, said: str) -> Path:
    folder.mkdir(parents=True)
    path = folder / "pg_dump"
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, Path]:
    """Programs of three versions as Debian has them, one of no version before all others, and none embedded."""
    found = {
        version: install(tmp_path / f"{version}" / "bin", f"pg_dump (PostgreSQL) {version}.4 (Debian)")
        for version in (15, 16, 17)
    }
    install(tmp_path / "path", "not PostgreSQL at all")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(dump, "_DEBIAN", tmp_path)
    monkeypatch.setattr(dump, "embedded_programs", lambda: None)
    return found


@pytest.mark.parametrize(("server", "taken"), [(12, 15), (15, 15), (16, 16), (17, 17)])
async def test_the_oldest_that_fits_is_taken(installed: dict[int, Path], server: int, taken: int) -> None:
    assert await program("pg_dump", server) == installed[taken]


async def test_none_that_fits_is_an_error_with_a_remedy(installed: dict[int, Path]) -> None:
    with pytest.raises(DumpError) as refused:
        await program("pg_dump", 18)
    assert "only pg_dump of version 15, 16, 17" in str(refused.value)
    assert "install postgresql-client-18" in str(refused.value)
    with pytest.raises(DumpError, match="there is no pg_restore here"):
        await program("pg_restore", 18)
