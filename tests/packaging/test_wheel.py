"""The wheel works away from the checkout, with what it declares and nothing else."""

import http.client
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from base.settings import PROJECT
from families.database.sample_data.ids import form_id
from stack.ports import LOOPBACK
from tests.conftest import eventually
from tests.deploy.files import extras_of_images
from tests.packaging.installed import Installed, build_wheel, install
from tests.stack.running import PARTS, RunningStack
from tests.stack.running import environment as settings_of_a_stack

IMPORTS = """
import importlib, pkgutil, sys
# What only a stack runs: it needs the extra of that name.
OF_A_STACK = {"__main__", "demo", "servers", "embedded", "prepare", "mailsink"}
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        if found.name.rpartition(".")[2] not in OF_A_STACK and ".migrations" not in found.name:
            importlib.import_module(found.name)
    print(module.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """With all that a whole stack needs, and a package of job types beside it."""
    made = install(wheel, tmp_path_factory.mktemp("installed") / "venv", {"stack"})
    (made.packages / "testjobs").symlink_to(PROJECT / "tests" / "plugin" / "testjobs")
    return made


@pytest.fixture
def stack(installed: Installed, tmp_path: Path) -> Iterator[RunningStack]:
    home, board = tmp_path / "data", tmp_path / "board"
    (board / "assets").mkdir(parents=True)
    (board / "index.html").write_text("<title>a board of the test's own</title>")
    told = settings_of_a_stack(home, SAMPLE_DATA="true", BOARD_ENABLED="true", BOARD_DIR=str(board))
    del told["PYTHONPATH"]
    running = RunningStack(home, told, program=(installed.qjobs,), cwd=installed.elsewhere)
    running.start()
    yield running
    running.discard()


def test_nothing_but_two_packages_of_ours_lies_in_site_packages(wheel: Path, tmp_path: Path) -> None:
    bare = install(wheel, tmp_path / "venv", set())
    ours = {entry.name for entry in bare.packages.iterdir() if not entry.is_symlink()} - {"__pycache__"}
    assert {name for name in ours if not name.endswith(".dist-info")} == {
        "qcollector",
        "qcollector_jobs",
        "qcollector_jobs.pth",
    }


@pytest.mark.parametrize(
    ("extras", "packages"),
    [
        (set(), ("service.bootstrap", "workers.worker", "workers.scheduler", "client", "cli.running", "stack.cli")),
        (
            extras_of_images()["app"],
            ("base", "contract", "engine", "service", "workers", "families", "client", "cli", "qcollector"),
        ),
        (extras_of_images()["gateway"], ("stack.envoy", "stack.cli", "stack.healthcheck", "families.system.restore")),
    ],
)
def test_every_module_loads_with_the_declared_dependencies_alone(
    wheel: Path, tmp_path: Path, extras: set[str], packages: tuple[str, ...]
) -> None:
    bare = install(wheel, tmp_path / "venv", extras)
    script = tmp_path / "imports.py"
    script.write_text(IMPORTS)
    places = bare.run(bare.python, script, *packages).split()
    assert len(places) == len(packages)
    assert all(Path(place).is_relative_to(bare.packages) for place in places)


async def test_a_whole_stack_of_it_works_away_from_the_checkout(stack: RunningStack, installed: Installed) -> None:
    await stack.ready()
    assert set(stack.pids) == PARTS
    jobs = {
        stack.enqueue("email:send", "welcome", {"user": {"email": "ada@example.com"}}): "email:send",
        stack.enqueue("export:data", "form-submissions", {"formId": str(form_id(1)), "format": "xlsx"}): "export:data",
        stack.enqueue("system:backup", "backup", {"targets": [{"type": "database"}]}): "system:backup",
        stack.enqueue("test:work", "noop", {}): "test:work",
    }
    for job_id, queue in jobs.items():
        ended = await eventually(partial(ended_job, stack, queue, job_id), what=f"{queue} {job_id} ended")
        assert ended["state"] == "JOB_STATE_COMPLETED", ended
    assert any("Welcome" in mail.read_text() for mail in (stack.home / "outbox").glob("*.eml"))
    for path, text in (("/", "a board of the test's own"), ("/api/openapi.json", '"openapi"')):
        assert text in fetch(int(stack.told["REST_PORT"]), path)


def ended_job(stack: RunningStack, queue: str, job_id: str) -> dict[str, Any] | None:
    job = stack.job(queue, job_id)
    return job if "endTime" in job else None


def fetch(port: int, path: str) -> str:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200, text
    return text
