"""`qjobs dead`."""

# ruff: noqa: PLC0415  (gRPC is imported once a command is carried out)

from dataclasses import replace

import click

from cli.command import Action, OperatorGroup
from cli.parameters import (
    filter_options,
    job_argument,
    jobs_options,
    limit_option,
    one_job,
    queue_option,
    some_jobs,
)
from cli.selection import Chosen, Filter


@click.group(cls=OperatorGroup)
def dead() -> None:
    """Dead letters: jobs of any queue that failed for good."""


@dead.command("list")
@queue_option
@filter_options(states=False)
@limit_option
def list_(queue: str, wanted: Filter, limit: int) -> Action:
    """The jobs that failed for good, newest first."""
    from cli import dead

    return lambda session: dead.list_dead(session, queue, _failed(wanted), limit)


@dead.command()
@job_argument
@queue_option
def show(words: tuple[str, ...], queue: str) -> Action:
    """One of them in full."""
    from cli import dead

    named = one_job(words, queue)
    return lambda session: dead.show(session, named)


@dead.command()
@jobs_options(states=False)
def retry(chosen: Chosen) -> Action:
    """Run them again: by their ids, or all that match."""
    return _change("retry", chosen)


@dead.command()
@jobs_options(states=False)
def remove(chosen: Chosen) -> Action:
    """Remove them: by their ids, or all that match."""
    return _change("remove", chosen)


def _change(deed: str, chosen: Chosen) -> Action:
    from cli import dead, steering

    # A queue that is named is a condition, too: `dead retry -q email:send` means all of it.
    whole_queue = bool(chosen.words and ":" in chosen.words[-1]) or bool(chosen.queue and not chosen.words)
    named = some_jobs(replace(chosen, every=chosen.every or whole_queue))
    if named.ids:
        return lambda session: dead.change(session, deed, named, chosen.reason)
    return lambda session: steering.change_all(
        session, deed, named.queue, _failed(chosen.wanted), chosen.reason, yes=chosen.yes
    )


def _failed(wanted: Filter) -> Filter:
    return replace(wanted, states=("failed",))
