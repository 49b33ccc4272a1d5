"""What the files for deployment say agrees with the settings, the commands, the queues and one another."""

import re
import shlex
import tomllib
from typing import Any

import pytest
import yaml

from base.settings import PROJECT, SECRETS_DIR, settings_class
from contract.catalog import load_catalog
from engine.scripts import load_scripts
from stack.cli import app
from stack.envoy import READY_PATH
from tests.deploy.files import (
    COMPOSE,
    DEPLOY,
    OWN_IMAGES,
    Start,
    acl_line,
    dockerfile,
    http_probes,
    manifests,
    pods,
    secret_names,
    starts,
)

KNOWN = {name.upper() for name in settings_class().model_fields} | {SECRETS_DIR}
STARTS = starts()
PORTS = {name: settings_class().model_fields[name].default for name in ("rest_port", "grpc_port", "metrics_port")}
AT_STORE = {
    "hello",
    "auth",
    "select",
    "ping",
    "info",
    "command",
    "client|setname",
    "client|setinfo",
    "readonly",
    "eval",
    "evalsha",
}
OF_CLUSTERS = {"cluster|slots", "cluster|shards", "cluster|nodes", "cluster|myid"}


def each_start(test: Any) -> Any:
    return pytest.mark.parametrize("start", STARTS, ids=[start.where for start in STARTS])(test)


def test_all_kinds_of_process_are_started_by_both() -> None:
    for system in ("compose", "kubernetes"):
        kinds = {start.command[0] for start in STARTS if start.where.startswith(system)}
        assert kinds == {"service", "worker", "scheduler", "envoy"}


@each_start
def test_what_a_process_is_told_is_a_setting(start: Start) -> None:
    assert set(start.environment) <= KNOWN


def test_the_images_and_the_examples_name_settings_alone() -> None:
    told = set(re.findall(r"\b([A-Z][A-Z_]+)=", dockerfile().partition("AS runtime")[2])) - {"PATH", "PYTHONUNBUFFERED"}
    assert told
    assert told <= KNOWN
    example = (DEPLOY / "settings.env.example").read_text("utf-8")
    assert set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) <= KNOWN
    assert secret_names() <= set(settings_class().model_fields)


@each_start
def test_commands_and_probes_are_those_that_there_are(start: Start) -> None:
    for words in (["qjobs", *start.command], *start.probes):
        if words[0] == "sleep":
            continue
        assert words[0] == "qjobs"
        known = app.commands[words[1]]
        known.make_context(words[1], list(words[2:]))  # refuses options and arguments that it does not know


def test_kubernetes_asks_by_paths_that_are_answered_and_starts_no_process_for_it() -> None:
    asked = set(http_probes())
    answered = {("metrics", "/healthz"), ("metrics", "/readyz"), ("http", READY_PATH)}
    assert {(port, path) for _, port, path in asked} == answered
    assert {kind for kind, _, _ in asked} == {"service", "worker", "scheduler", "envoy"}
    for start in STARTS:
        if start.where.startswith("kubernetes"):
            assert not [words for words in start.probes if "healthcheck" in words]


@each_start
def test_a_process_may_take_longer_to_end_than_a_lease_and_its_jobs(start: Start) -> None:
    lease = float(
        start.environment.get("QUEUE_LEASE_SECONDS", settings_class().model_fields["queue_lease_seconds"].default)
    )
    assert start.seconds > lease
    if start.command[0] == "worker":
        grace = float(start.environment["SHUTDOWN_GRACE_SECONDS"])
        assert grace > settings_class().model_fields["shutdown_grace_seconds"].default
        assert start.seconds >= grace + 2 * lease or (
            start.where.startswith("compose") and start.seconds >= grace + lease
        )


@pytest.mark.parametrize("system", ["compose", "kubernetes"])
def test_the_groups_of_workers_serve_every_queue_once(system: str) -> None:
    served = [
        queue
        for start in STARTS
        if start.where.startswith(system) and start.command[0] == "worker"
        for queue in start.command[2].split(",")
    ]
    assert sorted(served) == sorted(load_catalog(()).queues)


def test_ports_are_those_of_the_settings() -> None:
    settings = next(found for found in manifests()["settings.yaml"] if found["kind"] == "ConfigMap")["data"]
    for name, port in PORTS.items():
        assert int(settings[name.upper()]) == port
    opened = {entry["containerPort"] for _, pod in pods() for entry in pod["containers"][0].get("ports", ())}
    assert opened == {*PORTS.values(), 6379}
    exposed = {int(port) for line in re.findall(r"EXPOSE (.+)", dockerfile()) for port in line.split()}
    assert exposed == set(PORTS.values())
    published = {
        entry.rpartition(":")[2] for service in COMPOSE["services"].values() for entry in service.get("ports", ())
    }
    assert published == {str(PORTS["rest_port"]), str(PORTS["grpc_port"]), "8025"}
    assert all(
        entry.startswith("127.0.0.1:") for service in COMPOSE["services"].values() for entry in service.get("ports", ())
    )


def test_a_network_policy_opens_no_port_that_nobody_has() -> None:
    opened = {
        entry["port"]
        for policy in manifests()["network.yaml"]
        for rule in policy["spec"].get("ingress", ())
        for entry in rule["ports"]
    }
    assert opened == {*PORTS.values(), 6379}


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=[name for name, _ in pods()])
def test_a_pod_keeps_to_the_restricted_profile(name: str, pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        assert container["readinessProbe"] != container["livenessProbe"]
        assert "memory" in container["resources"]["limits"]


def test_the_storage_roots_are_one_volume_for_every_process_that_uses_files() -> None:
    (claim,) = manifests()["storage.yaml"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for name, pod in pods():
        if name not in {"gateway", "valkey"}:
            claims = [
                entry["persistentVolumeClaim"]["claimName"]
                for entry in pod["volumes"]
                if "persistentVolumeClaim" in entry
            ]
            assert claims == [claim["metadata"]["name"]]


def test_kustomization_names_every_file_and_no_other() -> None:
    text = (DEPLOY / "kubernetes" / "kustomization.yaml").read_text("utf-8")
    named = set(re.findall(r"^  (?:# )?- (\S+\.yaml)$", text, re.MULTILINE))
    assert named == set(manifests()) - {"secret.example.yaml"}
    assert {image["name"] for image in yaml.safe_load(text)["images"]} == OWN_IMAGES


def test_autoscaling_asks_for_metrics_that_the_adapter_makes_of_ours() -> None:
    adapter = yaml.safe_load((DEPLOY / "kubernetes" / "prometheus-adapter.yaml").read_text("utf-8"))
    asked = {scaler["spec"]["metrics"][0]["external"]["metric"]["name"] for scaler in manifests()["autoscaling.yaml"]}
    rules = adapter["rules"]["external"]
    assert {rule["name"]["as"] for rule in rules} == asked
    queues = set(load_catalog(()).queues)
    ours = (PROJECT / "service" / "queue_metrics.py").read_text("utf-8")
    for rule in rules:
        for metric in re.findall(r"qjobs_queue_\w+", rule["metricsQuery"]):
            assert f'"{metric}"' in ours
        (pattern,) = re.findall(r'queue=~"([^"]+)"', rule["metricsQuery"])
        assert any(re.fullmatch(pattern, queue) for queue in queues)


def test_both_stores_have_one_configuration() -> None:
    kept = next(found for found in manifests()["valkey.yaml"] if found["kind"] == "ConfigMap")["data"]["valkey.conf"]
    assert kept == (DEPLOY / "valkey" / "valkey.conf").read_text("utf-8")
    assert "appendonly yes" in kept
    assert "maxmemory-policy noeviction" in kept


def test_what_the_dockerfile_copies_is_there_and_may_be_copied() -> None:
    allowed = {line[1:] for line in (PROJECT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(), re.MULTILINE):
        for source in shlex.split(line)[:-1]:
            place = source.rstrip("/")
            assert place == "." or (PROJECT / place).exists()
            assert place == "." or place.partition("/")[0] in allowed
    build = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(build["sources"]) == set(build["only-include"])
    for source in (*build["only-include"], *build["force-include"]):
        assert {source, source.partition("/")[0]} & allowed, source
    assert {"var", ".git", "deploy"}.isdisjoint(allowed)


def test_the_stores_user_may_do_what_the_processes_do_and_nothing_else() -> None:
    scripts = "".join(script.source for script in load_scripts().values())
    used = {word.lower() for word in re.findall(r"redis\.p?call\('([A-Za-z]+)'", scripts)}
    modules = ("engine/claims.py", "engine/event_stream.py", "engine/inspection.py")
    calls = "".join((PROJECT / module).read_text("utf-8") for module in modules)
    used |= {word.lower() for word in re.findall(r"_store\.call\(\"(\w+)\"", calls)}
    granted = set(re.findall(r"\+(\S+)", acl_line()))
    assert "-@all" in acl_line().split()
    assert granted == used | AT_STORE | OF_CLUSTERS
    assert f"~{settings_class().model_fields['redis_key_prefix'].default}:*" in acl_line().split()
