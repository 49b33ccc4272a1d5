"""docs/cli.md's reference, out of the commands themselves.  With --check, writes nothing and fails on drift."""

import inspect
import sys
from pathlib import Path

import click

from cli.command import OperatorCommand, shared_options
from cli.commands import COMMANDS
from cli.exits import MEANINGS
from stack.cli import app

PAGE = Path("docs/cli.md")
MARK = "<!-- What follows is written by tools/cli_reference.py. -->\n"


def reference() -> str:
    with click.Context(app, info_name="qjobs") as root:
        parts = [
            "## Exit status\n\n| status | meaning |\n|---|---|\n",
            *(f"| {status.value} | {meaning} |\n" for status, meaning in MEANINGS.items()),
            "\n## Options of every command\n\n",
            options(root, shared_options()),
        ]
        for name in (*COMMANDS, "worker"):
            parts += described(app.get_command(root, name), click.Context(app, info_name="qjobs"), name)
    return "".join(parts)


def described(command: click.Command, above: click.Context, name: str) -> list[str]:
    """A command with its options, or all commands of a group."""
    context = click.Context(command, info_name=name, parent=above)
    if isinstance(command, click.Group):
        parts = [] if name == "worker" else [f"\n## {context.command_path}\n\n{prose(command)}\n"]
        for below in command.list_commands(context):
            parts += described(command.get_command(context, below), context, below)
        return parts
    assert isinstance(command, OperatorCommand)
    usage = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    title = f"`{context.command_path} {usage}".strip() + "`"
    level = "###" if above.parent else "##"
    return [f"\n{level} {title}\n\n{prose(command)}\n", options(context, command.own_options, "\n")]


def prose(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def options(context: click.Context, given: list[click.Option], before: str = "") -> str:
    rows = [record for option in given if (record := option.get_help_record(context))]
    if not rows:
        return ""
    lines = [f"| `{name.replace('|', chr(92) + '|')}` | {text.replace('|', chr(92) + '|')} |\n" for name, text in rows]
    return "".join([before, "| option | |\n|---|---|\n", *lines])


def main() -> int:
    text = PAGE.read_text("utf-8")
    want = text.partition(MARK)[0] + MARK + "\n" + reference()
    if "--check" in sys.argv:
        if text != want:
            print(f"{PAGE} is out of step with the commands: run `make gen` and commit the result")
        return int(text != want)
    PAGE.write_text(want, "utf-8")
    return 0


sys.exit(main())
