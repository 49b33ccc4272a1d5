"""The files under deploy/, read, and what they start."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from base.settings import PROJECT

DEPLOY = PROJECT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
OWN_IMAGES = {"qcollector-jobs", "qcollector-jobs-gateway"}


def manifests() -> dict[str, list[dict[str, Any]]]:
    """What the files for `kubectl apply` hold, and the example of the secrets, by file."""
    told = {"kustomization.yaml", "prometheus-adapter.yaml"}
    files = [file for file in sorted((DEPLOY / "kubernetes").glob("*.yaml")) if file.name not in told]
    return {file.name: list(yaml.safe_load_all(file.read_text("utf-8"))) for file in files}


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every workload's name and pod."""
    for objects in manifests().values():
        for found in objects:
            if found["kind"] in {"Deployment", "StatefulSet"}:
                yield found["metadata"]["name"], found["spec"]["template"]["spec"]


@dataclass
class Start:
    """One of our own processes as some file starts it."""

    where: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    probes: list[list[str]] = field(default_factory=list)
    seconds: float = 0
    """What it is given to end in."""


def starts() -> list[Start]:
    return [*_of_compose(), *_of_kubernetes()]


def _of_compose() -> Iterator[Start]:
    for name, service in COMPOSE["services"].items():
        if service["image"] in OWN_IMAGES and "entrypoint" not in service:
            environment = {key: str(value) for key, value in service["environment"].items()}
            probe = service["healthcheck"]["test"][1:]
            seconds = float(service["stop_grace_period"].removesuffix("s"))
            yield Start(f"compose {name}", service["command"], environment, [probe], seconds)


def _of_kubernetes() -> Iterator[Start]:
    shared = next(found for found in manifests()["settings.yaml"] if found["kind"] == "ConfigMap")["data"]
    for name, pod in pods():
        (container,) = pod["containers"]
        if container["image"] in OWN_IMAGES:
            named = {entry["name"]: "" for entry in container.get("env", ())}
            environment = (shared if "envFrom" in container else {}) | named
            seconds = pod["terminationGracePeriodSeconds"]
            yield Start(f"kubernetes {name}", container["args"], environment, list(_commands(container)), seconds)


def http_probes() -> Iterator[tuple[str, str, str]]:
    """Every path that Kubernetes asks one of our processes for, with the process's kind and the port's name."""
    for _, pod in pods():
        (container,) = pod["containers"]
        for kind in ("startup", "readiness", "liveness"):
            if asked := container[f"{kind}Probe"].get("httpGet"):
                assert asked["port"] in {port["name"] for port in container["ports"]}
                yield container["args"][0], asked["port"], asked["path"]


def _commands(container: dict[str, Any]) -> Iterator[list[str]]:
    kinds = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
    for hook in [*kinds, *container.get("lifecycle", {}).values()]:
        if "exec" in hook:
            words = hook["exec"]["command"]
            lines = re.split(r"[;&|]+", words[2]) if words[:2] == ["sh", "-c"] else [" ".join(words)]
            yield from (line.split() for line in lines)


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")


def extras_of_images() -> dict[str, set[str]]:
    """The wheel's extras in each image, by its name in the Dockerfile; the gateway's come on top of the other's."""
    app, gateway = (set(extras.split(",")) for extras in re.findall(r"\.whl\)\[([\w,]+)\]", dockerfile()))
    return {"app": app, "gateway": app | gateway}


def secret_names() -> set[str]:
    """The settings that compose and Kubernetes hand over as files."""
    example = next(found for found in manifests()["secret.example.yaml"] if found["metadata"]["name"] == "qjobs")
    of_compose = {
        name
        for service in COMPOSE["services"].values()
        if service["image"] in OWN_IMAGES
        for name in service["secrets"]
    }
    return set(example["stringData"]) | of_compose


def acl_line() -> str:
    lines = (DEPLOY / "valkey" / "users.acl.template").read_text("utf-8").splitlines()
    return next(line for line in lines if line.startswith("user qjobs "))


def path_of(name: str) -> Path:
    return DEPLOY / name
