"""`qjobs type`."""

# ruff: noqa: PLC0415  (gRPC is imported once a command is carried out)

import click

from cli.command import Action, OperatorGroup
from cli.parameters import queue_argument, queue_option, type_argument


@click.group("type", cls=OperatorGroup)
def job_type() -> None:
    """Job types: their policy, the schema of their data, an example."""


@job_type.command("list")
@queue_option
def list_(queue: str) -> Action:
    """All job types with their policy."""
    from cli import job_types

    return lambda session: job_types.list_all(session, queue)


@job_type.command()
@queue_argument
@type_argument
def show(queue: str, job_type: str) -> Action:
    """One type: policy, the schema of its data, and a command that enqueues one."""
    from cli import job_types

    return lambda session: job_types.show(session, queue, job_type)
