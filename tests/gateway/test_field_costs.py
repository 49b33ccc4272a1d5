"""Checking fields costs little beside the call that it is part of, and grows no faster than the body."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import envoy
from tests.gateway.front import Front, running_envoy

LARGE = 9_500_000
JOBS = 1000
"""The most that a batch may hold."""
OPTIONS = {"priority": 3, "attempts": 2, "timeout": 60_000, "delay": 1000, "backoff": {"type": "fixed", "delay": 5}}
RUN = "import sys; from pathlib import Path; from stack import cli, envoy; envoy.TEMPLATES = Path(sys.argv.pop(1)); cli.main()"
CHECK = "checked_body(body:getBytes(0, length), call.type)"


@pytest.fixture(scope="module")
def unchecked(service: int, home: Path) -> Iterator[Front]:
    """The same gateway without the check of fields."""
    sources = home / "unchecked-sources"
    shutil.copytree(envoy.TEMPLATES, sources)
    script = (sources / "gateway.lua").read_text()
    assert CHECK in script
    (sources / "gateway.lua").write_text(script.replace(CHECK, "{}"))
    with running_envoy(home / "unchecked", service, run=("-c", RUN, str(sources))) as started:
        yield started


def seconds(front: Front, path: str, body: bytes, status: int) -> float:
    started = time.perf_counter()
    answer = front.call("POST", path, body)
    assert answer.status == status, answer.text[:500]
    return time.perf_counter() - started


def test_a_megabyte_of_fields_costs_little_more_than_without_the_check(front: Front, unchecked: Front) -> None:
    shown = {f"field{number}": number for number in range(50)}
    mail = {"to": "user@example.com", "subject": "x", "text": "x", "data": shown}
    job = {"queueName": "email:send", "jobType": "send", "data": mail, "options": OPTIONS, "validateOnly": True}
    body = json.dumps({"jobs": [job] * JOBS}).encode()
    assert 900_000 < len(body) < 1_200_000
    assert "cannot be understood" in unchecked.call("POST", "jobs", {"queueName": 7}).text, "the transcoder's words"
    rounds = [[seconds(each, "jobs:batch", body, 200) for each in (front, unchecked)] for _ in range(4)]
    checked, bare = (min(times) for times in zip(*rounds, strict=True))
    assert checked < 1.25 * bare, f"{checked:.3f} s, and {bare:.3f} s without the check"


@pytest.mark.parametrize("value", ["a{}b", "Bearer a{}b"], ids=["bare", "bearer"])
def test_ten_times_the_token_costs_less_than_twenty_times_as_much(front: Front, value: str) -> None:
    """Anybody may send one, and what looks for the token comes before all that verifies it."""

    def cost(length: int) -> float:
        sent = value.format(" " * length)
        return min(asked(front, sent) for _ in range(5))

    small, large = cost(3_000), cost(30_000)
    assert large < max(20 * small, 0.1), f"{small:.4f} s for a tenth, {large:.4f} s for all"


def asked(front: Front, authorization: str) -> float:
    started = time.perf_counter()
    assert front.call("GET", "stats", authorization=authorization).status == 401
    return time.perf_counter() - started


@pytest.mark.parametrize(
    ("before", "filling", "after"),
    [
        ("", ",", ""),
        ("", " ", ""),
        ("", "[", ""),
        ('{"data":{"a":[', ",", "]}"),
        ('{"data":{"a":[', "[],", "1]}"),
        ('{"data":{"a":"', '\\"', '"}'),
        ('{"options":{"delay":', "1", "x}}"),
        ('{"options":{"runAt":"', "1", '"}}'),
        ('{"', "a", '":1}'),
        ("{", '"queueName":"",', '"x":1}'),
        ('{"data":{', '"a":1,', '"b":2},"x":1}'),
    ],
    ids=lambda part: part[:12],
)
def test_ten_times_the_body_costs_less_than_twenty_times_as_much(
    front: Front, before: str, filling: str, after: str
) -> None:
    def cost(length: int) -> float:
        """The least of some, as others use the machine too."""
        body = (before + filling * (length // len(filling)) + after).encode()
        return min(seconds(front, "jobs", body, 400) for _ in range(5))

    small, large = cost(LARGE // 10), cost(LARGE)
    assert large < 20 * small, f"{small:.4f} s for a tenth, {large:.4f} s for all"
