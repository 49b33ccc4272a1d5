"""One job in full, and how it ended, in words."""

from google.protobuf.message import Message
from qcollector.jobs.v1.job_pb2 import Job, JobState

from cli.output.formats import as_json, moment
from cli.output.tables import fields, section, tree, when
from cli.output.text import count_of, harmless, state_word
from cli.output.times import in_words, shown


def in_full(job: Job) -> str:
    """All that is known of a job: what people look at first comes first."""
    head = fields(
        [
            ("Id", job.id),
            ("Queue", job.queue_name),
            ("Type", job.job_type),
            ("State", state_word(job.state)),
            ("Progress", f"{job.progress:g}%"),
            ("Attempts", _attempts(job)),
            ("Priority", str(job.priority) if job.priority else ""),
            ("Created", when(job.create_time)),
            ("By", _caller(job)),
            ("Due", when(job.run_time)),
            ("Started", when(job.start_time)),
            ("Ended", when(job.end_time)),
            ("Ran", _ran(job)),
            ("Worker", job.worker),
            ("Stalls", f"{job.stalls}: its worker died or lost contact" if job.stalls else ""),
            ("Failed because", job.failed_reason),
        ]
    )
    failures = [f"{shown(moment(one.time))}  {one.worker}  {one.reason}" for one in job.failures]
    return (
        head
        + section("Failed attempts", "\n".join(harmless(line) for line in failures))
        + section("Payload", _member(job.payload) if job.HasField("payload") else "")
        + section("Result", _member(job.result) if job.HasField("result") else "")
    )


def outcome(job: Job) -> str:
    """How it ended, such as `email:send/x completed after 3.2s`, and its result."""
    name, word = f"{job.queue_name}/{job.id}", state_word(job.state)
    ran = f" after {_ran(job)}" if _ran(job) else ""
    why = f": {job.failed_reason}" if job.failed_reason and job.state != JobState.JOB_STATE_COMPLETED else ""
    result = section("Result", _member(job.result)) if job.HasField("result") else ""
    return harmless(f"{name} {word}{ran}{why}") + result


def _member(union: Message) -> str:
    """The member of a payload or result that is set, below its name."""
    values = as_json(union)
    return tree({name: value or "(empty)" for name, value in values.items()})


def _attempts(job: Job) -> str:
    return f"{job.attempts_made} of {count_of(job.max_attempts, 'attempt')}" if job.max_attempts else ""


def _caller(job: Job) -> str:
    who = job.created_by
    return " ".join(part for part in (who.name or who.id, f"({who.role})" if who.role else "") if part)


def _ran(job: Job) -> str:
    began, ended = moment(job.start_time), moment(job.end_time)
    return in_words((ended - began).total_seconds() * 1000) if began and ended else ""
