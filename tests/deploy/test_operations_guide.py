"""docs/operations.md names what there is, its commands can be typed, and its figures hold."""

import itertools
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import SecretStr

from base.settings import PROJECT, Settings
from cli.command import Action
from contract.catalog import Catalog
from engine.store import Store
from stack.cli import app
from tests.conftest import ValkeyServer, free_port
from tests.deploy.files import COMPOSE, DEPLOY, manifests
from tests.engine.conftest import engine_on, job

GUIDE = (PROJECT / "docs" / "operations.md").read_text("utf-8")
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]
TAKES_SERVICES = {"up", "run", "logs", "ps", "build"}


def test_every_alert_has_a_section_and_points_at_it() -> None:
    rules = {rule["alert"]: rule["annotations"] for group in ALERTS["groups"] for rule in group["rules"]}
    sections = re.findall(r"^### (\w+)$", GUIDE.partition("\n## Alerts\n")[2], re.MULTILINE)
    assert sections == list(rules)
    for name, annotations in rules.items():
        assert annotations["runbook"] == f"docs/operations.md#{name.lower()}"
        text = GUIDE.partition(f"\n### {name}\n")[2].partition("\n#")[0]
        assert "```bash\n" in text, f"{name}: nothing to look at it with"


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_can_be_typed(line: str) -> None:
    program, *words = shlex.split(line.replace('"$OWNER_URL"', "postgresql://owner@host/data"))
    if program == "qjobs":
        check_qjobs(words)
    elif program == "docker":
        check_compose(words)
    elif program == "kubectl":
        check_kubectl(words)
    elif program == "psql":
        assert (PROJECT / words[words.index("--file") + 1]).is_file()
    elif program == "curl":
        assert words[-1].startswith("http://localhost:5000/api/v1/queue/")
    else:
        assert (PROJECT / program).is_file()


def check_qjobs(words: list[str]) -> None:
    command = app.commands.get(words[0])
    if command is not None and (not isinstance(command, click.Group) or words[1].startswith("-")):
        command.make_context(words[0], words[1:])
        return

    def carried_out(action: Action, *_: object) -> int:
        assert callable(action)
        return 0

    app.main(words, standalone_mode=False, obj=carried_out)


def check_compose(words: list[str]) -> None:
    assert words[:2] == ["compose", "-f"]
    assert PROJECT / words[2] == DEPLOY / "compose.yaml"
    profiles = {name for service in COMPOSE["services"].values() for name in service.get("profiles", ())}
    rest = iter(words[3:])
    subcommand = ""
    for word in rest:
        if word == "--profile":
            assert next(rest) in profiles
        elif word == "--scale":
            assert next(rest).partition("=")[0] in COMPOSE["services"]
        elif word in {"--tail", "--since"}:
            next(rest)
        elif not word.startswith("-") and subcommand:
            assert word in COMPOSE["services"]
        elif not word.startswith("-"):
            subcommand = word
    assert subcommand in TAKES_SERVICES


def check_kubectl(words: list[str]) -> None:
    kustomization = DEPLOY / "kubernetes" / "kustomization.yaml"
    objects = [found for file in manifests().values() for found in file]
    deployments = {found["metadata"]["name"] for found in objects if found["kind"] == "Deployment"}
    for option, value in itertools.pairwise(words):
        if option == "--kustomize":
            assert PROJECT / value == kustomization.parent
        elif option == "--namespace":
            assert value == yaml.safe_load(kustomization.read_text("utf-8"))["namespace"]
        elif option == "--selector":
            assert value.partition("app.kubernetes.io/component=")[2] in deployments
    named = {word.partition("/")[2] for word in words if word.startswith("deployment/")}
    assert named <= deployments


def test_the_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", GUIDE)
    assert links
    for link in links:
        assert (PROJECT / "docs" / link).exists(), link
    for path in re.findall(r"deploy/[\w./-]+\w", GUIDE):
        assert (PROJECT / path).exists() or path in {"deploy/secrets", "deploy/settings.env"}, path


def at(server: ValkeyServer, settings: Settings) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(server.url)})


async def test_a_waiting_job_takes_no_more_memory_than_the_guide_says(
    own_valkey: ValkeyServer, settings: Settings, catalog: Catalog
) -> None:
    (said,) = re.findall(r"its payload and at most (\d+) bytes", GUIDE)
    store = await Store.open(at(own_valkey, settings))
    engine = engine_on(store, settings, catalog)
    info: Any = store.client.info
    before = (await info())["used_memory"]
    payload, count = 300, 10_000
    for first in range(0, count, 1000):
        # With a digest, as every job that came in by the service has one.
        await engine.add(
            *(job(f"job{n:022d}-0", payload=b"p" * payload, digest=b"d" * 16) for n in range(first, first + 1000))
        )
    taken = ((await info())["used_memory"] - before) / count - payload
    await store.close()
    assert int(said) / 2 < taken < int(said)


async def test_a_copy_of_the_stores_folder_brings_its_jobs_back(
    own_valkey: ValkeyServer, settings: Settings, catalog: Catalog, tmp_path: Path
) -> None:
    store = await Store.open(at(own_valkey, settings))
    await engine_on(store, settings, catalog).add(*(job(f"job{n}") for n in range(100)))
    await store.close()
    own_valkey.kill()
    shutil.copytree(own_valkey.folder / "appendonlydir", tmp_path / "copy" / "appendonlydir")
    restored = ValkeyServer(tmp_path / "copy", free_port()).start()
    try:
        store = await Store.open(at(restored, settings))
        assert await engine_on(store, settings, catalog).counts() == {"waiting": 100}
        await store.close()
    finally:
        restored.kill()
