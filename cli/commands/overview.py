"""`qjobs stats`, `health` and `worker list`."""

# ruff: noqa: PLC0415  (gRPC is imported once a command is carried out)

import click

from cli.command import Action, OperatorCommand


@click.command(cls=OperatorCommand)
@click.option("-w", "--watch", is_flag=True, help="Follow the queues until Ctrl-C.")
def stats(watch: bool) -> Action:
    """The whole at a glance: sums, health, and a line for each queue."""
    from cli import overview

    return overview.watch if watch else overview.stats


@click.command(cls=OperatorCommand)
def health() -> Action:
    """Whether jobs are taken and run; status 1 where they are not."""
    from cli import overview

    return overview.health


@click.command("list", cls=OperatorCommand)
def worker_list() -> Action:
    """The workers that report: host, what they serve, how busy they are."""
    from cli import overview

    return overview.workers
