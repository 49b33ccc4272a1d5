"""`qjobs queue`."""

# ruff: noqa: PLC0415  (gRPC is imported once a command is carried out)

import click

from cli.command import Action, OperatorGroup
from cli.completion import queue_names
from cli.parameters import DURATION, RATE, queue_argument, yes_option

reason_option = click.option("--reason", default="", help="Why, for those who come after.")


@click.group(cls=OperatorGroup)
def queue() -> None:
    """Queues: how they stand; pause, resume, limit and clean them."""


@queue.command("list")
def list_() -> Action:
    """All queues at a glance."""
    from cli import queues

    return queues.list_all


@queue.command()
@queue_argument
def show(queue: str) -> Action:
    """One queue with its limits, rates and times."""
    from cli import queues

    return lambda session: queues.show(session, queue)


@queue.command()
@queue_argument
@reason_option
def pause(queue: str, reason: str) -> Action:
    """Let no further job of a queue start; running ones end."""
    from cli import queues

    return lambda session: queues.pause(session, queue, reason)


@queue.command()
@queue_argument
@reason_option
def resume(queue: str, reason: str) -> Action:
    """Let a queue's jobs start again."""
    from cli import queues

    return lambda session: queues.resume(session, queue, reason)


@queue.command()
@queue_argument
@click.option(
    "--older-than", type=DURATION, default="1d", show_default=True, help="Leave what ended less long ago, such as 2h."
)
@yes_option
def clean(queue: str, older_than: float, yes: bool) -> Action:
    """Remove a queue's finished jobs."""
    from cli import queues

    return lambda session: queues.clean(session, queue, older_than, yes=yes)


@queue.command()
@queue_argument
@click.option(
    "--max-active", type=click.IntRange(min=0), help="Jobs active at once over all workers; 0 for any number."
)
@click.option("--rate", type=RATE, help="Starts in a time, such as 100/1m; 0/1s takes the limit away.")
@reason_option
def limit(queue: str, max_active: int | None, rate: tuple[int, int] | None, reason: str) -> Action:
    """Set a queue's limits over all workers, or show them."""
    from cli import queues

    return lambda session: queues.limit(session, queue, max_active, rate, reason)


@queue.command()
@click.argument("queue", default="", metavar="[QUEUE]", shell_complete=queue_names)
def watch(queue: str) -> Action:
    """Follow all queues, or one, until Ctrl-C."""
    from cli import overview

    return lambda session: overview.watch(session, queue)
