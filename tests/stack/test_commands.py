"""The commands that end by themselves."""

import time
from pathlib import Path

import pytest

from base.settings import load
from service.auth import TokenVerifier
from service.keys import signing_keys
from stack.demo.run import samples
from tests.stack.running import environment, qjobs

SECRET = "a-secret-for-the-command-line-tests"


def test_help_names_every_command_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    answer = qjobs("--help", told=environment(tmp_path))
    assert time.monotonic() - began < 2
    for command in ("up", "demo", "service", "worker", "scheduler", "envoy", "board", "token"):
        assert f"  {command} " in answer.stdout


@pytest.mark.parametrize("command", ["up", "service", "worker", "scheduler", "envoy"])
def test_a_setting_that_cannot_be_used_is_named_and_there_is_no_traceback(tmp_path: Path, command: str) -> None:
    answer = qjobs(command, told=environment(tmp_path, REST_PORT="many", LOG_LEVEL="loud"))
    assert answer.returncode == 2
    assert "REST_PORT" in answer.stderr
    assert "LOG_LEVEL" in answer.stderr
    assert "Traceback" not in answer.stderr


async def test_a_token_carries_what_was_asked_for(tmp_path: Path) -> None:
    answer = qjobs(
        *("token", "--role", "super_admin", "--sub", "ada", "--name", "Ada", "--ttl", "60"),
        told=environment(tmp_path, JWT_SECRET=SECRET),
    )
    assert answer.returncode == 0
    settings = load(jwt_secret=SECRET)
    caller = await TokenVerifier.of(settings, signing_keys(settings)).verify(f"Bearer {answer.stdout.strip()}")
    assert (caller.id, caller.name, caller.role) == ("ada", "Ada", "super_admin")


def test_a_token_wants_a_secret(tmp_path: Path) -> None:
    answer = qjobs("token", told=environment(tmp_path / "data"))
    assert answer.returncode == 2
    assert "JWT_SECRET" in answer.stderr
    assert not (tmp_path / "data").exists()


def test_a_worker_refuses_queues_that_are_not_declared(tmp_path: Path) -> None:
    answer = qjobs("worker", "--queues", "email:send,no:such", told=environment(tmp_path))
    assert answer.returncode == 2
    assert "no:such" in answer.stderr


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"CORS_ORIGIN": "https://a.example,*", "REST_RATE_LIMIT": 100, "BIND_HOST": "::1", "JOB_PLUGINS": ""},
        {"REST_MAX_BODY_BYTES": 2048},
    ],
)
def test_envoy_takes_the_configuration_that_the_settings_amount_to(tmp_path: Path, told: dict[str, str]) -> None:
    told = {"JWT_SECRET": "a-secret-of-the-tests", **told}
    answer = qjobs("envoy", "--validate", "--service", "jobs.internal:50051", told=environment(tmp_path, **told))
    assert answer.returncode == 0, answer.stderr


def test_envoy_refuses_an_address_that_is_none(tmp_path: Path) -> None:
    answer = qjobs("envoy", "--validate", "--service", "nowhere", told=environment(tmp_path))
    assert answer.returncode == 2
    assert "host:port" in answer.stderr


def test_the_demonstration_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    told = environment(tmp_path, SMTP_HOST="mail.invalid", REDIS_URL="redis://redis.invalid", TMPDIR=str(tmp_path))
    answer = qjobs("demo", told=told)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{sum(sample.mails for sample in samples(load()))} mails arrived" in answer.stdout
    assert list(tmp_path.glob("qjobs-demo-*")) == []
