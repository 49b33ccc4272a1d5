"""The `qjobs` command line."""

# ruff: noqa: PLC0415  (each command imports what it needs when it is called, so that help comes at once)

import contextlib
import sys

import click

from base.errors import StartError
from base.plugins import PluginError, constants, job_plugins
from cli.commands import COMMANDS, WORKER_COMMANDS, Mount


@click.group(cls=Mount, mounted=COMMANDS, context_settings={"max_content_width": 110})
def app() -> None:
    """Typed background jobs: a gRPC service, workers on Valkey, and REST through Envoy.

    The first commands run processes, by the settings; those for operators talk to a service.
    """


@app.command()
@click.option("--services", envvar="SERVICES", type=click.IntRange(1, 64), default=1, help="Service processes.")
@click.option("--workers", envvar="WORKERS", type=click.IntRange(1, 64), default=1, help="Worker processes.")
@click.option("--end-with-parent", is_flag=True, hidden=True, help="Stop when the process that called it ends.")
def up(services: int, workers: int, end_with_parent: bool) -> None:
    """Run the whole stack on this machine: what no setting names is embedded."""
    from base.settings import load
    from stack import tether, up

    if end_with_parent:
        tether.end_with_parent()
    up.up(load(), services, workers)


@app.command()
def demo() -> None:
    """Run sample jobs on a stack of their own, show what came out, and end."""
    from stack.demo.run import demo

    demo()


@app.command()
def service() -> None:
    """Run one gRPC service process."""
    from service.command import run

    run()


@app.group(cls=Mount, mounted=WORKER_COMMANDS, invoke_without_command=True)
@click.option("--queues", default="", help="The queues to serve, separated by commas. Empty serves all.")
@click.pass_context
def worker(context: click.Context, queues: str) -> None:
    """Run one worker process; `list` shows those that run."""
    if context.invoked_subcommand is not None:
        return
    from workers.command import run

    run([name.strip() for name in queues.split(",") if name.strip()])


@app.command()
def scheduler() -> None:
    """Run the housekeeping process. Any number of them may run."""
    import uvloop

    from base.settings import load
    from workers.scheduler import run

    uvloop.run(run(load()))


@app.command()
@click.option(
    "--service", multiple=True, help="Where a service is, as host:port; may be repeated. None is this machine's own."
)
@click.option("--grpc", is_flag=True, help="Listen on GRPC_PORT too, for those services.")
@click.option("--validate", is_flag=True, help="Check the configuration and end.")
@click.option("--drain", is_flag=True, help="Have the Envoy that runs here send callers elsewhere.")
def envoy(service: tuple[str, ...], grpc: bool, validate: bool, drain: bool) -> None:
    """Run Envoy, the REST gateway, with a configuration made from the settings."""
    from base.settings import load
    from stack import envoy
    from stack.envoy_upstream import Upstream

    settings = load()
    if drain:
        envoy.drain(settings)
        return
    upstream = Upstream.of(service, settings, takes_grpc=grpc)
    if validate:
        sys.exit(envoy.validate(settings, upstream))
    envoy.run(settings, upstream)


@app.command()
def board() -> None:
    """Build the board's pages out of dashboard/, where they have changed."""
    from base.settings import load
    from stack import board

    board.build(load().board_dir, click.echo)


@app.command()
@click.argument("process")
@click.option("--live", is_flag=True, help="Ask whether it lives, not whether it can work now.")
def healthcheck(process: str, live: bool) -> None:
    """Ask a process of this machine (service, worker, scheduler or envoy) how it is.

    Status 0, or 1 and the reason: for the probes of containers.
    """
    from base.settings import load
    from stack.healthcheck import Process, problem

    if process not in list(Process):
        raise click.BadParameter(f"{process!r} is none of {', '.join(Process)}")
    if reason := problem(load(), Process(process), live=live):
        click.echo(f"{process}: {reason}", err=True)
        sys.exit(1)


@app.command()
@click.option("--role", default="admin", help="The role's word: user, service, admin, super_admin, or your own.")
@click.option("--sub", default="developer", help="The subject: the caller's id.")
@click.option("--name", default="", help="The caller's name.")
@click.option("--ttl", type=click.IntRange(min=1), default=3600, help="Seconds for which it holds.")
def token(role: str, sub: str, name: str, ttl: int) -> None:
    """Print a bearer token signed with JWT_SECRET."""
    from base.settings import load
    from stack.tokens import secret_of, sign

    click.echo(sign(secret_of(load()), subject=sub, role=role, name=name, seconds=ttl))


with contextlib.suppress(PluginError):  # told by those commands that read the settings
    for command in [command for each in constants("commands", "COMMANDS", job_plugins()) for command in each]:
        app.add_command(command)


def main() -> None:
    """What keeps a command from running is said in plain words, with status 2."""
    try:
        app(prog_name="qjobs")
    except StartError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
