"""`qjobs dead`."""

# ruff: noqa: PLC0415  (gRPC is imported once a command is carried out)

from dataclasses import replace

import click

from cli.command import Action, OperatorGroup
from cli.parameters import (
    all_option,
    filter_options,
    job_argument,
    jobs_argument,
    limit_option,
    one_job,
    queue_option,
    some_jobs,
    yes_option,
)
from cli.selection import Filter


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
@jobs_argument
@filter_options(states=False)
@all_option
@yes_option
def retry(words: tuple[str, ...], queue: str, wanted: Filter, every: bool, yes: bool) -> Action:
    """Run them again: by their ids, or all that match."""
    return _change("retry", words, queue, wanted, every=every, yes=yes)


@dead.command()
@jobs_argument
@filter_options(states=False)
@all_option
@yes_option
def remove(words: tuple[str, ...], queue: str, wanted: Filter, every: bool, yes: bool) -> Action:
    """Remove them: by their ids, or all that match."""
    return _change("remove", words, queue, wanted, every=every, yes=yes)


def _change(deed: str, words: tuple[str, ...], queue: str, wanted: Filter, *, every: bool, yes: bool) -> Action:
    from cli import dead, steering

    # A queue that is named is a condition, too: `dead retry -q email:send` means all of it.
    named = some_jobs(
        words, queue, wanted, every=every or bool(queue and not words) or bool(words and ":" in words[-1])
    )
    if named.ids:
        return lambda session: dead.change(session, deed, named)
    return lambda session: steering.change_all(session, deed, named.queue, _failed(wanted), yes=yes)


def _failed(wanted: Filter) -> Filter:
    return replace(wanted, states=("failed",))
