"""Arguments and options that several commands take, and the types of their values."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

import click

from cli.completion import job_types, queue_names, schedule_names
from cli.output.times import milliseconds_of, moment_of
from cli.selection import Chosen, Filter, Named, named, one_named

Decorated = Callable[[Callable[..., Any]], Any]

STATES: Final = ("waiting", "delayed", "active", "completed", "failed", "cancelled")


class Duration(click.ParamType[float]):
    """Milliseconds, typed as `10m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return milliseconds_of(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class Moment(click.ParamType[datetime]):
    """A time, or a duration from now: back (-1) or on (1)."""

    name = "time"

    def __init__(self, direction: int) -> None:
        self._direction = direction

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return moment_of(value, direction=self._direction)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class Rate(click.ParamType[tuple[int, int]]):
    """Jobs and milliseconds, typed as `100/1m`."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        jobs, _, period = value.partition("/")
        try:
            return int(jobs), round(milliseconds_of(period))
        except ValueError:
            self.fail(f"{value!r}: give jobs and a duration, such as 100/1m", param, ctx)


class Backoff(click.ParamType[tuple[str, int, float]]):
    """Kind, milliseconds and the share drawn at random, typed as `30s`, `exponential:2s` or `exponential:2s:20%`."""

    name = "backoff"
    _typed: Final = re.compile(r"(?:(fixed|exponential):)?([^:%]+)(?::([0-9]+(?:\.[0-9]+)?)%)?")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int, float]:
        if isinstance(value, tuple):
            return value
        found = self._typed.fullmatch(value.strip())
        kind, delay, percent = found.groups() if found else ("", "", "")
        try:
            return kind or "fixed", round(milliseconds_of(delay)), float(percent or 0) / 100
        except ValueError:
            self.fail(f"{value!r}: give a duration, such as 30s, exponential:2s or exponential:2s:20%", param, ctx)


DURATION: Final = Duration()
AGO: Final = Moment(-1)
AHEAD: Final = Moment(1)

RATE: Final = Rate()
BACKOFF: Final = Backoff()

queue_argument: Final = click.argument("queue", shell_complete=queue_names)
type_argument: Final = click.argument("job_type", metavar="TYPE", shell_complete=job_types)
schedule_argument: Final = click.argument("name", shell_complete=schedule_names)
job_argument: Final = click.argument("words", metavar="[QUEUE] ID", nargs=-1, required=True, shell_complete=queue_names)
queue_option: Final = click.option("-q", "--queue", default="", help="The queue.", shell_complete=queue_names)
yes_option: Final = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
limit_option: Final = click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Print so many at most; 0 prints all."
)


def filter_options(*, states: bool) -> Decorated:
    """What jobs may have in common, given to the function as `wanted`; `states` lets them be chosen as well."""
    options = [
        click.option("--type", "job_type", default="", metavar="TYPE", help="Of this type.", shell_complete=job_types),
        click.option("--created-by", default="", metavar="CALLER", help="Enqueued by the caller of this id."),
        click.option("--after", type=AGO, help="Enqueued at or after: a time, or so long ago, such as 2h."),
        click.option("--before", type=AGO, help="Enqueued before."),
        click.option("--text", default="", help="In whose id, payload or failure this stands, letter for letter."),
    ]
    if states:
        choice = click.Choice(STATES)
        options.insert(
            0, click.option("--state", "states", type=choice, multiple=True, help="In this state; repeatable.")
        )

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def filtered(**given: Any) -> Any:
            wanted = Filter(**{field.name: given.pop(field.name) for field in fields(Filter) if field.name in given})
            return function(**given, wanted=wanted)

        return _with(options, filtered)

    return decorate


def jobs_options(*, states: bool) -> Decorated:
    """Jobs by their ids, which may stand after their queue, or by what they have in common; given as `chosen`."""
    options = [
        click.argument("words", metavar="[QUEUE] [ID]...", nargs=-1, shell_complete=queue_names),
        queue_option,
        filter_options(states=states),
        click.option("--all", "every", is_flag=True, help="Mean every job, where no condition is set."),
        click.option("--reason", default="", help="Why: for those who watch the jobs, and for the audit log."),
        yes_option,
    ]

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def chosen(**given: Any) -> Any:
            chosen = Chosen(**{field.name: given.pop(field.name) for field in fields(Chosen)})
            return function(**given, chosen=chosen)

        return _with(options, chosen)

    return decorate


def payload_options(function: Callable[..., Any]) -> Any:
    """What a job works on and how, given to the function as `payload`: arguments of Typed."""
    options = [
        click.option(
            "-d", "--data", default="", metavar="JSON|@FILE|-", help="The data as JSON, from a file, or from -."
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE", help="One value of the data; repeatable."
        ),
        click.option(
            "--priority", type=click.IntRange(-1000, 1000), default=0, help="Higher runs sooner; 0 is normal."
        ),
        click.option(
            "--attempts", type=click.IntRange(0, 100), default=0, help="Attempts in all. Otherwise the type's."
        ),
        click.option(
            "--backoff",
            type=BACKOFF,
            help="The wait between attempts: 30s, exponential:2s, or with a share at random exponential:2s:20%.",
        ),
        click.option(
            "--timeout", type=DURATION, default="0", help="How long an attempt may run. Otherwise the type's."
        ),
    ]
    names = ("data", "settings", "priority", "attempts", "backoff", "timeout")

    @functools.wraps(function)
    def gathered(**given: Any) -> Any:
        return function(payload={name: given.pop(name) for name in names}, **given)

    return _with(options, gathered)


def one_job(words: Sequence[str], queue: str) -> Named:
    """The job that is meant. Raises click.UsageError."""
    named = one_named(words, queue)
    if named is None:
        raise click.UsageError("Name one job: by its id, or by queue and id.")
    return named


def some_jobs(chosen: Chosen) -> Named:
    """The jobs that are meant: by ids, or (none) by the filter. Raises click.UsageError unless it is one of the two."""
    found = named(chosen.words, chosen.queue)
    conditions = bool(chosen.wanted) or chosen.every
    if found.ids and conditions:
        raise click.UsageError("Name ids, or conditions such as --state, not both.")
    if not found.ids and not conditions:
        raise click.UsageError("Name ids, or conditions such as --state; --all means every job.")
    return found


def _with(options: Sequence[Callable[[Any], Any]], function: Any) -> Any:
    """The function with these options, in this order."""
    for option in reversed(options):
        function = option(function)
    return function
