"""What all commands of an operator have in common: the options of connection and output, and how they are carried out.

A command's function reads its arguments and answers an action, which is then given a session with the service. So only
a command that is really carried out pays for the import of gRPC.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from cli.access import DEFAULT_ADDRESS, Wishes
from cli.exits import MEANINGS, Exit

if TYPE_CHECKING:
    from cli.session import Session

Action: TypeAlias = "Callable[[Session], Awaitable[Exit | None]]"
"""What a command does; None means that all went well."""
Performer: TypeAlias = Callable[[Action, Wishes, str, bool], int]
"""Carries out an action with these wishes, in this format, quietly or not, and answers the exit status."""
FORMATS: Final = ("table", "json", "jsonl", "yaml")
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
EPILOG: Final = "Exit status: " + "; ".join(f"{status.value} {meaning}" for status, meaning in MEANINGS.items()) + "."


class _SharedOption(click.Option):
    """An option that every command has."""


def shared_options() -> list[click.Option]:
    return [
        _SharedOption(
            ["--address"], envvar="QJOBS_ADDRESS", show_envvar=True, metavar="HOST:PORT", default="",
            help=f"Where the service is. Otherwise the stack that runs here, or {DEFAULT_ADDRESS}.",
        ),
        _SharedOption(
            ["--token-file"], envvar="QJOBS_TOKEN_FILE", show_envvar=True, type=_FILE, metavar="FILE",
            help="A file with the bearer token, which may be in QJOBS_TOKEN as well.",
        ),
        _SharedOption(
            ["--tls/--no-tls"], envvar="QJOBS_TLS", show_envvar=True, default=None, help="Speak TLS. --ca and --cert imply it.",
        ),
        _SharedOption(
            ["--ca"], envvar="QJOBS_CA", show_envvar=True, type=_FILE, metavar="FILE",
            help="The authority that the service's certificate is of, where it is not one of the system's.",
        ),
        _SharedOption(
            ["--cert"], envvar="QJOBS_CERT", show_envvar=True, type=_FILE, metavar="FILE", help="A certificate to show (mTLS).",
        ),
        _SharedOption(["--key"], envvar="QJOBS_KEY", show_envvar=True, type=_FILE, metavar="FILE", help="Its private key."),
        _SharedOption(
            ["-o", "--output", "format_"], envvar="QJOBS_OUTPUT", show_envvar=True, type=click.Choice(FORMATS),
            default="table", show_default=True, help="A table for people; the contract's JSON for scripts.",
        ),
        _SharedOption(["--quiet"], is_flag=True, help="Print what was asked for, no progress and no hints."),
    ]  # fmt: skip


class OperatorCommand(click.Command):
    """A command that talks to the service."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings.setdefault("epilog", EPILOG)
        super().__init__(*arguments, **settings)
        self.params = [*self.params, *shared_options()]

    @property
    def own_options(self) -> list[click.Option]:
        """Those that not every command has."""
        return [one for one in self.params if isinstance(one, click.Option) and not isinstance(one, _SharedOption)]

    def invoke(self, ctx: click.Context) -> None:
        given = {name: ctx.params.pop(name) for name in ("address", "token_file", "tls", "ca", "cert", "key")}
        format_, quiet = ctx.params.pop("format_"), ctx.params.pop("quiet")
        action = super().invoke(ctx)
        ctx.exit(_performer(ctx)(action, Wishes(**given), format_, quiet))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options first."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        records = [(param, param.get_help_record(ctx)) for param in options]
        for title, shared in (("Options", False), ("Connection and output", True)):
            shown = [record for param, record in records if record and isinstance(param, _SharedOption) is shared]
            if shown:
                with formatter.section(title):
                    formatter.write_dl(shown)


class OperatorGroup(click.Group):
    """Commands about one thing."""

    command_class = OperatorCommand


def _performer(ctx: click.Context) -> Performer:
    if callable(ctx.obj):
        performer: Performer = ctx.obj
        return performer
    from cli.running import perform  # noqa: PLC0415  (see above)

    return perform
