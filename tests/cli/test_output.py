"""What is printed: nothing of others steers a terminal, and every format stays what it is."""

import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from google.protobuf.any_pb2 import Any as AnyMessage
from hypothesis import given
from hypothesis import strategies as st
from qcollector.jobs.v1.job_pb2 import Job, JobFailure, JobState
from qcollector.jobs.v1.job_queries_pb2 import JobLogLine
from qcollector.jobs.v1.schedule_service_pb2 import Schedule

from cli import schedules
from cli.examples import example
from cli.exits import CommandError, Exit
from cli.job_details import in_full, outcome
from cli.listing import JOBS
from cli.output.formats import as_json
from cli.output.screen import Screen
from cli.output.text import harmless, harmless_json
from cli.output.times import ago, in_words, milliseconds_of, moment_of
from cli.watching import LOG
from tests.cli.conftest import Terminal

EVIL = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202egnp.exe\r\n[bold]x[/bold] \x08\x7f\u2028end :smile:"
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028]")
STYLE = re.compile("\x1b\\[[0-9;]*m")
"""What rich itself writes for colours."""


def evil_job() -> Job:
    return Job(
        id=EVIL,
        queue_name=EVIL,
        job_type=EVIL,
        state=JobState.JOB_STATE_FAILED,
        failed_reason=EVIL,
        worker=EVIL,
        failures=[JobFailure(reason=EVIL, worker=EVIL)],
        created_by={"id": EVIL, "name": EVIL, "role": EVIL},
        payload={"email_send": {"subject": EVIL, "text": EVIL, "headers": {EVIL: EVIL}}},
    )


@pytest.mark.parametrize("format_", ["table", "json", "jsonl", "yaml"])
def test_text_of_others_is_escaped_in_every_format(format_: str) -> None:
    out = io.StringIO()
    screen = Screen(format_, out=out)
    job = evil_job()
    with screen.listing(JOBS, "") as show:
        show([job, job])
    screen.one(job, lambda: f"{in_full(job)}\n{outcome(job)}")
    assert not STEERS.search(out.getvalue())


@pytest.mark.parametrize("format_", ["json", "jsonl", "yaml"])
def test_what_is_escaped_reads_back_as_it_was(format_: str) -> None:
    out = io.StringIO()
    Screen(format_, out=out).record(as_json(evil_job()))
    read = yaml.safe_load(out.getvalue()) if format_ == "yaml" else json.loads(out.getvalue())
    assert read["failedReason"] == EVIL
    assert read["payload"]["emailSend"]["headers"] == {EVIL: EVIL}


def test_on_a_terminal_only_the_tables_own_colours_are_sequences() -> None:
    out = Terminal()
    screen = Screen(out=out, err=Terminal())
    with screen.listing(JOBS, "") as show:
        show([evil_job()])
    with screen.listing(LOG, "") as show_lines:
        show_lines([JobLogLine(message=EVIL)])
    screen.say(EVIL)
    screen.hint(EVIL)
    printed = STYLE.sub("", out.getvalue())
    assert not STEERS.search(printed)
    assert "[bold]" in printed.replace("\n", "")


def test_a_schedule_and_a_complaint_are_escaped_too() -> None:
    shown = schedules.in_full(
        Schedule(name=EVIL, description=EVIL, cron=EVIL, timezone=EVIL, created_by={"name": EVIL})
    )
    assert not STEERS.search(shown)


@given(st.text())
def test_json_that_is_made_harmless_means_the_same(text: str) -> None:
    made = harmless_json(json.dumps({"a": text}, ensure_ascii=False))
    assert json.loads(made) == {"a": text}
    assert not STEERS.search(made)
    assert not STEERS.search(harmless(text))


def test_plain_words_stay_as_they_are() -> None:
    assert harmless("Grüße, 世界 🙂") == "Grüße, 世界 🙂"


def test_a_payload_of_another_package_shows_as_base64() -> None:
    job = Job(id="x")
    job.payload.custom.CopyFrom(AnyMessage(type_url="type.googleapis.com/no.such.Type", value=b"\x00abc"))
    assert as_json(job)["payload"] == {"custom": {"@type": "type.googleapis.com/no.such.Type", "value": "AGFiYw=="}}
    assert job.payload.custom.value == b"\x00abc"


def test_lists_without_anything_are_empty_lists() -> None:
    for format_, said in (("json", "[]"), ("jsonl", ""), ("yaml", "[]"), ("table", "")):
        out, err = io.StringIO(), io.StringIO()
        with Screen(format_, out=out, err=err).listing(JOBS, "none") as show:
            show([])
        assert out.getvalue().strip() == said
        assert err.getvalue().strip() == ("none" if format_ == "table" else "")


def test_quiet_keeps_hints_to_itself_and_complains_all_the_same() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(quiet=True, out=out, err=err)
    screen.say("done")
    screen.hint("a hint")
    screen.complain("no")
    assert (out.getvalue(), err.getvalue()) == ("", "qjobs: no\n")


def test_nobody_is_asked_where_nobody_can_answer() -> None:
    with pytest.raises(CommandError) as refused:
        Screen(err=io.StringIO()).confirm("Remove 5 jobs?", yes=False)
    assert refused.value.status == Exit.USAGE
    assert "--yes" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("30s", 30_000),
        ("10m", 600_000),
        ("1h30m", 5_400_000),
        ("1.5h", 5_400_000),
        ("2d", 172_800_000),
        ("0", 0),
    ],
)
def test_durations_are_read(text: str, milliseconds: float) -> None:
    assert milliseconds_of(text) == milliseconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 minutes", "-5m", "1e9d", "9999999d", "\u0661s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number with its unit|a hundred years"):
        milliseconds_of(text)


def test_moments_are_read_and_told() -> None:
    assert moment_of("2025-01-31T08:00:00Z", direction=1) == datetime(2025, 1, 31, 8, tzinfo=UTC)
    assert moment_of("2h", direction=-1) < datetime.now(UTC) - timedelta(minutes=119)
    assert ago(datetime.now(UTC) - timedelta(hours=3, minutes=2)).startswith("3h 2m")
    assert ago(datetime.now(UTC) + timedelta(hours=3, seconds=1)).startswith("in 3h")
    assert (in_words(4), in_words(1500), in_words(3_600_000), in_words(90_000_000)) == ("4ms", "1.5s", "1h", "1d 1h")
    for wrong in ("soon", "2025-13-01", "99999-01-01"):
        with pytest.raises(ValueError, match="give a time"):
            moment_of(wrong, direction=1)


def test_an_example_holds_what_must_be_set() -> None:
    schema = {
        "type": "object",
        "required": ["to", "n", "user"],
        "properties": {
            "to": {"anyOf": [{"type": "array", "items": {"type": "string", "format": "email"}}, {"type": "string"}]},
            "n": {"type": "integer", "minimum": 5},
            "user": {"$ref": "#/$defs/a.User"},
            "other": {"type": "string"},
        },
        "$defs": {
            "a.User": {"type": "object", "required": ["self"], "properties": {"self": {"$ref": "#/$defs/a.User"}}}
        },
    }
    made = example(schema)
    assert made["to"] == ["user@example.com"]
    assert made["n"] == 5
    assert "other" not in made
