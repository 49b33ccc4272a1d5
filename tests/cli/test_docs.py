"""docs/cli.md, and the examples that the commands themselves give, hold."""

import os
import re
import shlex
import subprocess
import sys

import click
import pytest

from base.settings import PROJECT, Settings
from cli.command import Action, OperatorCommand
from cli.commands import COMMANDS
from stack.cli import app
from tests.cli.conftest import qjobs_at, succeeded
from tests.service.conftest import serving

PAGE = (PROJECT / "docs" / "cli.md").read_text("utf-8")


def test_the_reference_is_what_the_commands_say() -> None:
    env = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'gen'}"}
    command = [sys.executable, "tools/cli_reference.py", "--check"]
    checked = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def documented() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.partition("## Examples")[2].partition("## Completion")[0], re.DOTALL)
    return [line.partition(" #")[0].partition(" |")[0].strip() for line in "".join(blocks).splitlines()]


@pytest.mark.parametrize("line", documented())
def test_every_example_can_be_typed(line: str) -> None:
    def carried_out(action: Action, *_: object) -> int:
        assert callable(action)
        return 0

    qjobs, *words = shlex.split(line)
    assert qjobs == "qjobs"
    app.main(words, standalone_mode=False, obj=carried_out)


def commands(group: click.Command, context: click.Context) -> list[click.Command]:
    if not isinstance(group, click.Group):
        return [group]
    below = [group.get_command(context, name) for name in group.list_commands(context)]
    return [leaf for one in below if one for leaf in commands(one, context)]


def test_every_command_and_option_is_explained() -> None:
    with click.Context(app) as context:
        for name in COMMANDS:
            command = app.get_command(context, name)
            assert command is not None
            for leaf in commands(command, context):
                assert isinstance(leaf, OperatorCommand)
                assert leaf.help
                assert all(option.help for option in leaf.own_options), leaf.name


@pytest.mark.families
async def test_the_example_of_every_type_is_accepted(sample_database: Settings) -> None:
    async with serving(sample_database) as service:
        qjobs = qjobs_at(f"127.0.0.1:{service.service.port}")
        types = succeeded(await qjobs("type", "list", "-o", "json")).json
        assert {"export:data", "system:backup"} <= {one["queueName"] for one in types}
        for one in types:
            shown = succeeded(await qjobs("type", "show", one["queueName"], one["jobType"])).out
            example = re.search(r"Example\n  qjobs (.*)\n", shown)
            assert example
            succeeded(await qjobs(*shlex.split(example[1]), "--dry-run"))
