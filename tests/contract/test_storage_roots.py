"""A job touches nothing outside the storage roots, by whatever path."""

import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from base.produced import OWN_FOLDER, Record
from base.settings import Settings, SettingsError
from base.storage import MARKER, ROOTS, RootName, StoragePathError, StorageRoots


@pytest.fixture
def roots(settings: Settings) -> StorageRoots:
    opened = StorageRoots(settings)
    opened.prepare()
    return opened


def test_paths_within_any_root_resolve_absolute_and_relative_to_data_dir(
    roots: StorageRoots, settings: Settings
) -> None:
    data = settings.data_dir.resolve()

    assert roots.resolve(str(data / "exports" / "a.csv")) == data / "exports" / "a.csv"
    assert roots.resolve("uploads/2025/../a.png") == data / "uploads" / "a.png"
    assert roots.resolve("./logs") == data / "logs"
    for name in ROOTS:
        assert roots.resolve(str(settings.root(name))) == settings.root(name)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "a.png",
        "uploads/../../a.png",
        "uploads/../secret.db",
        "uploadsx/a.png",
        ".",
        "",
        "uploads/\0",
        "uploads/" + "a/" * 3000,
        "uploads/\ud800",
        f"uploads/{MARKER}",
        "~/a.png",
    ],
)
def test_any_other_path_is_refused(roots: StorageRoots, path: str) -> None:
    with pytest.raises(StoragePathError):
        roots.resolve(path)


def test_the_refusal_names_the_roots_by_their_variables_and_not_their_places(
    roots: StorageRoots, settings: Settings
) -> None:
    with pytest.raises(StoragePathError) as error:
        roots.resolve("/etc/passwd")

    for name in ROOTS:
        assert f"{name.upper()}_DIR" in str(error.value)
    assert str(settings.data_dir) not in str(error.value)


def test_a_symbolic_link_out_of_the_roots_is_followed_and_refused(roots: StorageRoots, tmp_path: Path) -> None:
    uploads = roots.roots["upload"]
    outside = tmp_path / "outside"
    outside.mkdir()
    (uploads / "folder").symlink_to(outside)
    (uploads / "dangling").symlink_to(outside / "not-there-yet")
    (uploads / "inside").symlink_to(roots.roots["temp"])

    for path in ("uploads/folder/a.png", "uploads/folder/deep/er", "uploads/dangling"):
        with pytest.raises(StoragePathError):
            roots.resolve(path)
    assert roots.resolve("uploads/inside/a.png") == roots.roots["temp"] / "a.png"


def test_a_symbolic_link_that_loops_is_refused(roots: StorageRoots) -> None:
    loop = roots.roots["upload"] / "loop"
    loop.symlink_to(loop)

    with pytest.raises(StoragePathError):
        roots.resolve("uploads/loop/a.png")


def test_a_root_that_is_itself_a_link_serves_by_either_of_its_paths(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    roots = StorageRoots(settings.model_copy(update={"upload_dir": tmp_path / "link"}))

    assert roots.resolve(str(tmp_path / "link" / "a")) == (tmp_path / "real" / "a").resolve()
    assert roots.resolve(str(tmp_path / "real" / "a")) == (tmp_path / "real" / "a").resolve()


def test_prepare_makes_private_folders_with_a_marker_that_stays(roots: StorageRoots, settings: Settings) -> None:
    first = roots.marker_ids()

    assert set(first) == set(ROOTS)
    assert all(len(mark) == 32 for mark in first.values())
    assert len(set(first.values())) == len(ROOTS)
    for root in roots.roots.values():
        assert stat.S_IMODE(root.stat().st_mode) & 0o027 == 0
        assert {entry.name for entry in root.iterdir()} == {MARKER, OWN_FOLDER}
        assert Record(root).since() == 0
    StorageRoots(settings).prepare()
    assert StorageRoots(settings).marker_ids() == first
    assert roots.check() == []


def test_processes_that_start_at_once_agree_on_the_marker(settings: Settings, tmp_path: Path) -> None:
    together = Barrier(8)

    def start(fresh: Settings) -> dict[RootName, str]:
        opened = StorageRoots(fresh)
        together.wait(10)
        opened.prepare()
        return opened.marker_ids()

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(5):
            fresh = settings.model_copy(update={"data_dir": tmp_path / str(round_)})
            seen = list(pool.map(start, [fresh] * 8))
            assert all(ids == seen[0] and all(ids.values()) for ids in seen)
            for root in StorageRoots(fresh).roots.values():
                assert {entry.name for entry in root.iterdir()} == {MARKER, OWN_FOLDER}
                assert {entry.name for entry in (root / OWN_FOLDER).iterdir()} == {"record", "made"}
                assert Record(root).since() == 0


def test_check_tells_of_folders_that_are_missing_or_lost_their_marker(roots: StorageRoots) -> None:
    (roots.roots["export"] / MARKER).unlink()
    (roots.roots["backup"] / MARKER).unlink()
    shutil.rmtree(roots.roots["backup"])
    roots.roots["backup"].touch()

    assert roots.marker_ids()["export"] == ""
    assert roots.check() == [
        f"EXPORT_DIR has lost its marker file {MARKER}; is its volume mounted?",
        "BACKUP_DIR is missing or is not a folder",
    ]


def test_a_root_that_cannot_be_made_is_refused_by_its_variable(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    blocked = settings.model_copy(update={"upload_dir": tmp_path / "file" / "below"})

    with pytest.raises(SettingsError, match=r"UPLOAD_DIR=.*Not a directory"):
        StorageRoots(blocked).prepare()
