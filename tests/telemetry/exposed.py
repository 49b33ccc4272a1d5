"""What processes expose: pages fetched, parsed and looked up."""

import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families


@dataclass
class Page:
    """One answer of /metrics."""

    text: str

    @property
    def types(self) -> dict[str, str]:
        """The type of each metric, by the name that docs/metrics.md gives it."""
        return dict(re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.MULTILINE))

    @property
    def labels(self) -> dict[str, set[str]]:
        """The labels of each metric that has samples."""
        found: dict[str, set[str]] = {}
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                name = re.sub(r"_(bucket|sum|count)$", "", sample.name) if family.type == "histogram" else sample.name
                found.setdefault(name, set()).update(set(sample.labels) - {"le"})
        return found

    def value(self, name: str, **labels: str) -> float:
        """The one sample of that name with these labels; 0 where there is none."""
        values = [
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(values) <= 1, f"{name} {labels}: {values}"
        return values[0] if values else 0.0

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name with these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def fetch(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes, dict[str, Any]]:
    """Status, body and headers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def scrape(port: int) -> Page:
    status, body, _ = fetch(port, "/metrics")
    assert status == 200
    return Page(body.decode())
