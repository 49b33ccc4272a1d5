"""The alert rules and the dashboard name metrics and labels that there are; promtool finds nothing wrong with any of it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from base.settings import PROJECT
from tests.service.conftest import Caller
from tests.telemetry.conftest import PROCESSES, Processes
from tests.telemetry.test_metrics import documented

DEPLOY = PROJECT / "deploy"
DASHBOARD = DEPLOY / "grafana" / "qjobs.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
SERIES = re.compile(r"_(bucket|sum|count)$")


def queries() -> Iterator[tuple[str, str]]:
    """Where, and what is asked."""
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for line in ALERTS.read_text("utf-8").splitlines():
        if line.strip().startswith("expr: "):
            yield "alerts", line.partition("expr: ")[2]
    for path in DEPLOY.rglob("*.yaml"):
        for line in path.read_text("utf-8").splitlines():
            if "metricsQuery" in line:
                yield path.name, line


def test_every_metric_that_is_asked_for_is_one_of_the_documented_with_its_labels() -> None:
    known = documented()
    asked = list(queries())
    assert len(asked) > 30
    for where, query in asked:
        for name, _, selector in re.findall(r"\b(qjobs_\w+)(\{([^}]*)\})?", query):
            if name.startswith("qjobs_backlog_age"):  # the name that the adapter gives
                continue
            metric = name if name in known else SERIES.sub("", name)
            assert metric in known, f"{where}: {name}"
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
            assert labels <= known[metric][2], f"{where}: {name}{{{selector}}}"


def test_every_documented_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    everything = " ".join(query for _, query in queries())
    left_out = {name for name in documented() if name not in everything}
    assert left_out == {"qjobs_queue_slots", "qjobs_queue_active_max", "qjobs_jobs_forgotten_total"}


def promtool(*arguments: str | Path, told: str = "") -> None:
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing: Debian has it in its package prometheus"
    done: Any = subprocess.run([program, *arguments], input=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.system
def test_promtool_finds_nothing_wrong_with_the_rules_and_they_fire_as_they_should() -> None:
    promtool("check", "rules", ALERTS)
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    promtool("test", "rules", DEPLOY / "prometheus" / "alerts.test.yml")


@pytest.mark.system
async def test_promtool_finds_nothing_wrong_with_what_the_processes_expose(
    processes: Processes, caller: Caller
) -> None:
    assert caller
    for process in PROCESSES:
        promtool("check", "metrics", told=processes.page(process).text)
