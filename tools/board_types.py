"""proto/ -> dashboard/src/gen/ (the contract's messages as JSON types for the board), where the contract has changed.

With --check, writes nothing and fails on drift: judged by a digest of the contract, as the generator needs Node.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stack import board, node

TYPES = board.SOURCES / "src" / "gen"
DIGEST = TYPES / "contract.sha256"


def digest() -> str:
    """SHA-256 of the contract's files and of what the generator is told."""
    found = hashlib.sha256()
    for path in [*sorted(Path("proto").rglob("*.proto")), board.SOURCES / "buf.gen.yaml"]:
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest() + "\n"


def _run(what: str, command: Sequence[str | Path], seconds: float, path: str = os.environ["PATH"]) -> None:
    print(f"the board's types: {what}")
    subprocess.run(command, cwd=board.SOURCES, env={**os.environ, "PATH": path}, timeout=seconds, check=True)


def main() -> int:
    want = digest()
    if DIGEST.exists() and DIGEST.read_text("ascii") == want:
        return 0
    if "--check" in sys.argv:
        print(f"out of step with the contract: {TYPES}; run `make gen` and commit the result")
        return 1
    found = node.find(board.SOURCES / "package.json", _run)
    if not (board.SOURCES / "node_modules" / ".bin" / "protoc-gen-es").exists():
        _run("npm ci", (*found.npm, *board.INSTALL), board.INSTALL_SECONDS, found.path)
    _run("npm run gen", (*found.npm, "run", "gen"), 120, found.path)
    DIGEST.write_text(want, "ascii")
    return 0


sys.exit(main())
