"""What an operator can type. Each module is imported when its command is asked for; none imports gRPC."""

import importlib
from collections.abc import Mapping
from typing import Any, Final

import click

COMMANDS: Final = {
    "stats": "overview:stats",
    "health": "overview:health",
    "queue": "queue:queue",
    "job": "job:job",
    "dead": "dead:dead",
    "schedule": "schedule:schedule",
    "type": "job_type:job_type",
    "download": "download:download",
}
"""The operator's commands by name, and where each is declared."""
WORKER_COMMANDS: Final = {"list": "overview:worker_list"}
"""What goes below `qjobs worker`, which by itself runs one."""


class Mount(click.Group):
    """A group with commands of its own, and commands from here that are imported when they are asked for."""

    def __init__(self, *arguments: Any, mounted: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.mounted = mounted

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self.mounted]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.mounted:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.mounted[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own first, then those from here."""
        for title, names in (("Commands", sorted(self.commands)), ("Commands for operators", self.mounted)):
            found = [
                (name, command) for name in names if (command := self.get_command(ctx, name)) and not command.hidden
            ]
            rows = [(name, command.get_short_help_str(formatter.width)) for name, command in found]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
