"""Job types: their policy, the schema of their data, and a command that would enqueue one."""

import json
import shlex
from typing import Final

from qcollector.jobs.v1.overview_pb2 import ListJobTypesRequest
from qcollector.jobs.v1.queue_pb2 import JobType

from cli.examples import example
from cli.exits import CommandError, Exit
from cli.output.formats import as_json
from cli.output.tables import Column, Columns, fields, section
from cli.output.text import harmless, harmless_json, role_word
from cli.output.times import in_words
from cli.session import Session


def _backoff(one: JobType) -> str:
    if not one.backoff.delay:
        return ""
    jitter = f", {one.backoff.jitter:.0%} of it at random" if one.backoff.jitter else ""
    return f"{one.backoff.type or 'fixed'} {in_words(one.backoff.delay)}{jitter}"


TYPES: Final[Columns[JobType]] = (
    Column("Queue", lambda one: one.queue_name),
    Column("Type", lambda one: one.job_type),
    Column("Attempts", lambda one: str(one.attempts), right=True),
    Column("Backoff", _backoff),
    Column("Timeout", lambda one: in_words(one.timeout_ms), right=True),
    Column("Role", lambda one: role_word(one.minimum_role)),
    Column("What it does", lambda one: one.description),
)


async def list_all(session: Session, queue: str) -> None:
    every = await types(session)
    with session.screen.listing(TYPES, "There are no job types.") as write:
        write([one for one in every if not queue or one.queue_name == queue])


async def show(session: Session, queue: str, word: str) -> None:
    """One type. Raises CommandError where there is none."""
    for one in await types(session):
        if (one.queue_name, one.job_type) == (queue, word):
            session.screen.one(one, lambda: in_full(one))  # noqa: B023  (called at once)
            return
    raise CommandError(f"{queue} has no job type {word!r}: `qjobs type list` shows them all.", Exit.NOT_FOUND)


def in_full(one: JobType) -> str:
    schema = as_json(one)["schema"]
    head = fields(
        [
            ("Queue", one.queue_name),
            ("Type", one.job_type),
            ("What it does", one.description),
            ("Attempts", str(one.attempts)),
            ("Backoff", _backoff(one)),
            ("Timeout", in_words(one.timeout_ms)),
            ("Least role", role_word(one.minimum_role)),
            ("Payload", f"{one.payload_message} ({one.payload_field})"),
            ("Result", one.result_message),
        ]
    )
    data = json.dumps(example(schema), ensure_ascii=False)
    command = f"qjobs job enqueue {one.queue_name} {one.job_type} --data {shlex.quote(data)}"
    return (
        head
        + section("Example", harmless(command))
        + section("Schema of its data", harmless_json(json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True)))
    )


async def types(session: Session) -> list[JobType]:
    pages = session.pages(session.jobs.ListJobTypes, ListJobTypesRequest())
    return [one async for page in pages for one in page.job_types]
