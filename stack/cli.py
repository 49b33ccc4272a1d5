"""The `qjobs` command line."""

# ruff: noqa: PLC0415  (each command imports what it needs when it is called, so that help comes at once)

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="qjobs",
    help="Typed background jobs: a gRPC service, workers on Valkey, and REST through Envoy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Workers = Annotated[int, typer.Option(envvar="WORKERS", min=1, max=64, help="Worker processes.")]
EndWithParent = Annotated[bool, typer.Option(hidden=True, help="Stop when the process that called it ends.")]


@app.command()
def up(workers: Workers = 1, end_with_parent: EndWithParent = False) -> None:
    """Run the whole stack on this machine: what no setting names is embedded."""
    from base.settings import load
    from stack import tether, up

    if end_with_parent:
        tether.end_with_parent()
    up.up(load(), workers)


@app.command()
def demo() -> None:
    """Run sample jobs on a stack of their own, show what came out, and end."""
    from stack.demo.run import demo

    demo()


@app.command()
def service() -> None:
    """Run one gRPC service process."""
    import uvloop

    from base import logs
    from base.settings import load
    from service.bootstrap import serve

    settings = load()
    logs.configure(settings, "service")
    uvloop.run(serve(settings))


@app.command()
def worker(
    queues: Annotated[str, typer.Option(help="The queues to serve, separated by commas. Empty serves all.")] = "",
) -> None:
    """Run one worker process."""
    import uvloop

    from base.settings import load
    from workers.worker import run

    names = [name.strip() for name in queues.split(",") if name.strip()]
    uvloop.run(run(load(), names or None))


@app.command()
def scheduler() -> None:
    """Run the housekeeping process. Any number of them may run."""
    import uvloop

    from base.settings import load
    from workers.scheduler import run

    uvloop.run(run(load()))


@app.command()
def envoy(
    service: Annotated[str, typer.Option(help="Where the service is, as host:port. Empty is this machine.")] = "",
    validate: Annotated[bool, typer.Option("--validate", help="Check the configuration and end.")] = False,
    drain: Annotated[
        bool, typer.Option("--drain", help="Have the Envoy that runs here send callers elsewhere.")
    ] = False,
) -> None:
    """Run Envoy, the REST gateway, with a configuration made from the settings."""
    from base.settings import load
    from stack import envoy

    if drain:
        envoy.drain(load())
        return
    if validate:
        sys.exit(envoy.validate(load(), service))
    envoy.run(load(), service)


@app.command()
def board() -> None:
    """Build the board's pages out of dashboard/, where they have changed."""
    from base.settings import load
    from stack import board

    board.build(load().board_dir, typer.echo)


@app.command()
def healthcheck(
    process: Annotated[str, typer.Argument(help="service, worker, scheduler or envoy.")],
    live: Annotated[bool, typer.Option("--live", help="Ask whether it lives, not whether it can work now.")] = False,
) -> None:
    """Ask a process of this machine how it is: status 0, or 1 and the reason. For the probes of containers."""
    from base.settings import load
    from stack.healthcheck import Process, problem

    if process not in list(Process):
        raise typer.BadParameter(f"{process!r} is none of {', '.join(Process)}")
    if reason := problem(load(), Process(process), live=live):
        typer.echo(f"{process}: {reason}", err=True)
        sys.exit(1)


@app.command()
def token(
    role: Annotated[
        str, typer.Option(help="The role's word: user, service, admin, super_admin, or your own.")
    ] = "admin",
    sub: Annotated[str, typer.Option(help="The subject: the caller's id.")] = "developer",
    name: Annotated[str, typer.Option(help="The caller's name.")] = "",
    ttl: Annotated[int, typer.Option(min=1, help="Seconds for which it holds.")] = 3600,
) -> None:
    """Print a bearer token signed with JWT_SECRET."""
    from base.settings import load
    from stack.tokens import secret_of, sign

    typer.echo(sign(secret_of(load()), subject=sub, role=role, name=name, seconds=ttl))


@app.command()
def restore(
    manifest: Annotated[Path, typer.Argument(help="The backup's manifest.json.")],
    identity: Annotated[Path | None, typer.Option(help="The file with the private key of an encrypted backup.")] = None,
    database_url: Annotated[str, typer.Option(help="The empty database that the dump is restored into.")] = "",
    into: Annotated[
        Path | None, typer.Option(help="Where archives are unpacked, instead of where they came from.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="A target, such as uploads. May be repeated.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there already.")] = False,
) -> None:
    """Restore a backup, once all of it is found to be as it was written."""
    from base.settings import load
    from stack.restore import Aim, Restore

    backup = Restore(manifest, Aim(load(), database_url, into, force), identity)
    for entry in backup.check(only or ()):
        typer.echo(f"{entry.target}: {backup.put_back(entry)}")


def main() -> None:
    """What keeps a command from running is said in plain words, with status 2."""
    try:
        app()
    except Exception as error:
        if not _is_for_the_user(error):
            raise
        typer.echo(str(error), err=True)
        sys.exit(2)


def _is_for_the_user(error: Exception) -> bool:
    """Whether the error's message is cause and remedy. By name: importing the classes would slow down every command."""
    names = {"SettingsError", "StackError", "CatalogError", "QueueUnknownError"}
    return any(kind.__name__ in names for kind in type(error).__mro__)


if __name__ == "__main__":
    main()
