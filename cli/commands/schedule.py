"""`qjobs schedule`."""

# ruff: noqa: PLC0415  (gRPC is imported once a command is carried out)

from typing import Any

import click

from cli.command import Action, OperatorGroup
from cli.parameters import payload_options, queue_argument, queue_option, schedule_argument, type_argument, yes_option

timezone_option = click.option("--timezone", default=None, help="The zone of the expression, such as Europe/Berlin.")
description_option = click.option("--description", default=None, help="What it is for.")


@click.group(cls=OperatorGroup)
def schedule() -> None:
    """Recurring jobs: see, make, change, pause and fire schedules."""


@schedule.command("list")
def list_() -> Action:
    """All schedules."""
    from cli import schedules

    return schedules.list_all


@schedule.command()
@schedule_argument
def show(name: str) -> Action:
    """One schedule, its job and its next times."""
    from cli import schedules

    return lambda session: schedules.show(session, name)


@schedule.command()
@click.argument("name")
@click.argument("cron")
@queue_argument
@type_argument
@timezone_option
@description_option
@payload_options
@click.option("--paused", is_flag=True, help="Begin paused.")
def create(
    name: str,
    cron: str,
    queue: str,
    job_type: str,
    timezone: str | None,
    description: str | None,
    payload: dict[str, Any],
    paused: bool,
) -> Action:
    """Make a schedule. CRON has five fields, in quotes, such as "0 3 * * *"."""
    from cli import enqueueing, schedules

    wanted = schedules.Wanted(cron, timezone, description, queue, job_type, enqueueing.Typed(**payload))
    return lambda session: schedules.create(session, name, wanted, paused=paused)


@schedule.command()
@schedule_argument
@click.option("--cron", default=None, help="Another expression, in quotes.")
@timezone_option
@description_option
@queue_option
@click.option("--type", "job_type", default="", metavar="TYPE", help="Another job type; with --data.")
@payload_options
def update(
    name: str,
    cron: str | None,
    timezone: str | None,
    description: str | None,
    queue: str,
    job_type: str,
    payload: dict[str, Any],
) -> Action:
    """Change what is named of a schedule. Its job is replaced as a whole, by --data."""
    from cli import enqueueing, schedules

    wanted = schedules.Wanted(cron, timezone, description, queue, job_type, enqueueing.Typed(**payload))
    return lambda session: schedules.update(session, name, wanted)


@schedule.command()
@schedule_argument
def pause(name: str) -> Action:
    """Let a schedule fire no more until it is resumed."""
    from cli import schedules

    return lambda session: schedules.pause(session, name)


@schedule.command()
@schedule_argument
def resume(name: str) -> Action:
    """Let a paused schedule fire again, from now on."""
    from cli import schedules

    return lambda session: schedules.resume(session, name)


@schedule.command()
@schedule_argument
@click.option("--request-id", default="", help="Names this command: for an hour, the same again enqueues nothing more.")
def trigger(name: str, request_id: str) -> Action:
    """Enqueue a schedule's job now, apart from its slots."""
    from cli import schedules

    return lambda session: schedules.trigger(session, name, request_id)


@schedule.command()
@schedule_argument
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Print so many at most.")
def runs(name: str, limit: int) -> Action:
    """The latest jobs that a schedule enqueued, and what became of them."""
    from cli import schedules

    return lambda session: schedules.runs(session, name, limit)


@schedule.command()
@click.argument("cron")
@click.option("--timezone", default="", help="The zone of the expression.")
@click.option("--count", type=click.IntRange(1, 100), default=5, show_default=True, help="So many times.")
def preview(cron: str, timezone: str, count: int) -> Action:
    """When an expression would fire, and how it reads in words."""
    from cli import schedules

    return lambda session: schedules.preview(session, cron, timezone, count)


@schedule.command()
@schedule_argument
@yes_option
def delete(name: str, yes: bool) -> Action:
    """Remove a schedule; jobs that it enqueued stay."""
    from cli import schedules

    return lambda session: schedules.delete(session, name, yes=yes)
