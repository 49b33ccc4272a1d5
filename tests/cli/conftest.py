"""The operator's commands in the tests' process, against a real service: what they print, and their exit status."""

import io
import json
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import click
import pytest
import yaml

from cli.access import Wishes
from cli.command import Action
from cli.exits import Exit
from cli.output.screen import Screen
from cli.running import carry_out
from stack.cli import app
from tests.service.conftest import Running, Worker, service, token, worker

__all__ = ["Running", "Worker", "service", "worker"]


@dataclass(frozen=True)
class Said:
    """What a command said and ended with."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def yaml(self) -> Any:
        return yaml.safe_load(self.out)


class Terminal(io.StringIO):
    """Text that claims to go to a terminal."""

    def isatty(self) -> bool:
        return True


Qjobs = Callable[..., Coroutine[Any, Any, Said]]


def qjobs_at(address: str, *, role: str = "admin", out: type[io.StringIO] = io.StringIO) -> Qjobs:
    """Carries out a command line against the service there, under a token of this role."""

    async def run(*words: str) -> Said:
        means: list[Any] = []

        def note(action: Action, wishes: Wishes, format_: str, quiet: bool) -> int:
            means.append((action, wishes, format_, quiet))
            return 0

        try:
            app.main([*words, "--address", address], prog_name="qjobs", standalone_mode=False, obj=note)
        except click.UsageError as error:
            return Said(error.exit_code, "", error.format_message())
        (action, wishes, format_, quiet) = means[0]
        said, complained = out(), out()
        status = await carry_out(action, wishes, Screen(format_, quiet=quiet, out=said, err=complained))
        return Said(status, said.getvalue(), complained.getvalue())

    return run


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("QJOBS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("QJOBS_TOKEN", token())


@pytest.fixture
def qjobs(service: Running) -> Qjobs:
    """As an administrator, piped."""
    return qjobs_at(f"127.0.0.1:{service.service.port}")


def succeeded(said: Said) -> Said:
    assert said.status == Exit.OK, said
    return said
