"""`qjobs job`."""

# ruff: noqa: PLC0415  (gRPC is imported once a command is carried out)

from datetime import datetime
from typing import Any

import click

from cli.command import Action, OperatorGroup
from cli.completion import queue_names
from cli.parameters import (
    AHEAD,
    DURATION,
    filter_options,
    job_argument,
    jobs_options,
    limit_option,
    one_job,
    payload_options,
    queue_argument,
    queue_option,
    some_jobs,
    type_argument,
)
from cli.selection import Chosen, Filter


@click.group(cls=OperatorGroup)
def job() -> None:
    """Jobs: find, enqueue and follow them; retry, cancel, promote and remove them, one by one or by the thousand.

    A job is named by its id, after its queue or alone: then all queues are searched.
    """


@job.command("list")
@click.argument("queue", default="", metavar="[QUEUE]", shell_complete=queue_names)
@filter_options(states=True)
@click.option(
    "--order",
    type=click.Choice(["newest", "oldest", "queue"]),
    default="newest",
    show_default=True,
    help="`queue` is the queue's own order: next to run, or latest ended, first. It wants one queue and one state.",
)
@limit_option
def list_(queue: str, wanted: Filter, order: str, limit: int) -> Action:
    """The jobs of a queue, or of all, that match."""
    from cli import steering

    if order == "queue" and not (queue and len(wanted.states) == 1):
        raise click.UsageError("--order queue wants one QUEUE and one --state.")
    return lambda session: steering.list_jobs(session, queue, wanted, order, limit)


@job.command()
@job_argument
@queue_option
def show(words: tuple[str, ...], queue: str) -> Action:
    """One job in full: its way, payload, result and failed attempts."""
    from cli import steering

    named = one_job(words, queue)
    return lambda session: steering.show(session, named)


@job.command()
@queue_argument
@type_argument
@payload_options
@click.option("--delay", type=DURATION, default="0", help="Run it so much later, such as 10m.")
@click.option("--at", "run_at", type=AHEAD, help="Run it then: a time, or a duration from now.")
@click.option("--expire-at", type=AHEAD, help="Fail it unless it has started by then.")
@click.option("--id", "job_id", default="", help="An id of your own: the same again enqueues nothing more.")
@click.option("--request-id", default="", help="Names this command: for an hour, the same again enqueues nothing more.")
@click.option("--wait", is_flag=True, help="Follow it to its end; the exit status says how it went.")
@click.option("--dry-run", is_flag=True, help="Check everything and enqueue nothing.")
def enqueue(
    queue: str,
    job_type: str,
    payload: dict[str, Any],
    delay: float,
    run_at: datetime | None,
    expire_at: datetime | None,
    job_id: str,
    request_id: str,
    wait: bool,
    dry_run: bool,
) -> Action:
    """Enqueue a job. `qjobs type show` tells what its data is made of."""
    from cli import enqueueing

    times: dict[str, Any] = {"delay": delay, "run_at": run_at, "expire_at": expire_at}
    typed = enqueueing.Typed(**payload, **times, job_id=job_id, request_id=request_id)
    mode = enqueueing.Mode(dry_run=dry_run, wait=wait)
    return lambda session: enqueueing.enqueue(session, queue, job_type, typed, mode)


@job.command()
@job_argument
@queue_option
def watch(words: tuple[str, ...], queue: str) -> Action:
    """Follow a job to its end; the exit status says how it went."""
    from cli import filters, watching

    named = one_job(words, queue)

    async def action(session: Any) -> Any:
        return await watching.watch(session, await filters.queue_of(session, named.queue, named.ids[0]), named.ids[0])

    return action


@job.command()
@job_argument
@queue_option
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends.")
def logs(words: tuple[str, ...], queue: str, follow: bool) -> Action:
    """A job's log lines, of which the last 200 are kept."""
    from cli import filters, watching

    named = one_job(words, queue)

    async def action(session: Any) -> Any:
        found = await filters.queue_of(session, named.queue, named.ids[0])
        return await watching.logs(session, found, named.ids[0], to_end=follow)

    return action


@job.command()
@jobs_options(states=True)
def retry(chosen: Chosen) -> Action:
    """Run failed or cancelled jobs again: by their ids, or all that match."""
    return _change("retry", chosen)


@job.command()
@jobs_options(states=True)
def cancel(chosen: Chosen) -> Action:
    """Cancel jobs that have not ended, also running ones: by their ids, or all that match."""
    return _change("cancel", chosen)


@job.command()
@jobs_options(states=True)
def promote(chosen: Chosen) -> Action:
    """Make delayed jobs ready now: by their ids, or all that match."""
    return _change("promote", chosen)


@job.command()
@jobs_options(states=True)
def remove(chosen: Chosen) -> Action:
    """Remove jobs that do not run, and all that is kept of them: by their ids, or all that match."""
    return _change("remove", chosen)


def _change(deed: str, chosen: Chosen) -> Action:
    """By ids, or by what the jobs have in common, which is asked about first."""
    from cli import steering

    named = some_jobs(chosen)
    if named.ids:
        return lambda session: steering.change(session, deed, named, chosen.reason)
    return lambda session: steering.change_all(session, deed, named.queue, chosen.wanted, chosen.reason, yes=chosen.yes)
