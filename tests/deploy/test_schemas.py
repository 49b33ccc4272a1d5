"""The files for Docker, Compose and Kubernetes are what their readers take."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.deploy.files import DEPLOY, manifests

OBJECTS = [(file, found) for file, objects in manifests().items() for found in objects]


def test_the_compose_file_holds_to_the_specification() -> None:
    command = ("-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "--output-format", "json")
    answer = subprocess.run(
        [sys.executable, *command, DEPLOY / "compose.yaml"], capture_output=True, text=True, timeout=60, check=False
    )
    assert json.loads(answer.stdout)["status"] == "ok", answer.stdout


@pytest.mark.parametrize(
    ("file", "found"), OBJECTS, ids=[f"{file}-{found['kind']}-{found['metadata']['name']}" for file, found in OBJECTS]
)
def test_a_manifest_is_what_kubernetes_knows(file: str, found: dict[str, Any]) -> None:
    kubernetes_validate.validate(found, "1.34", strict=True)


def test_the_dockerfile_has_nothing_to_be_told_by_its_linter() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    answer = subprocess.run([linter, DEPLOY / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stdout


def test_every_script_is_one_that_any_shell_takes() -> None:
    for script in DEPLOY.glob("*.sh"):
        subprocess.run(["sh", "-n", script], check=True, timeout=10)
