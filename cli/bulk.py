"""What is done to many jobs at once: counted first, confirmed, carried out with a bar, and reported."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.rpc.status_pb2 import Status
from qcollector.jobs.v1.job_bulk_pb2 import (
    BatchCancelJobsRequest,
    BatchDeleteJobsRequest,
    BatchJobFailure,
    BatchPromoteJobsRequest,
    BatchRetryJobsRequest,
)

from cli.exits import Exit
from cli.filters import job_filter
from cli.output.formats import as_json
from cli.output.screen import bar
from cli.output.text import count_of
from cli.selection import Filter
from cli.session import BULK_SECONDS, Session
from client import JobsError

IDS_A_CALL: Final = 1000
SHOWN_FAILURES: Final = 20


@dataclass(frozen=True)
class Deed:
    """One way to change jobs."""

    word: str
    """The infinitive, as the question has it."""
    done: str
    method: str
    request: Any


CANCEL: Final = Deed("Cancel", "Cancelled", "BatchCancelJobs", BatchCancelJobsRequest)
RETRY: Final = Deed("Retry", "Retried", "BatchRetryJobs", BatchRetryJobsRequest)
REMOVE: Final = Deed("Remove", "Removed", "BatchDeleteJobs", BatchDeleteJobsRequest)
PROMOTE: Final = Deed("Promote", "Promoted", "BatchPromoteJobs", BatchPromoteJobsRequest)
DEEDS: Final = {"cancel": CANCEL, "retry": RETRY, "remove": REMOVE, "promote": PROMOTE}


@dataclass
class Report:
    """What came of it in one queue."""

    queue: str
    matched: int = 0
    more: bool = False
    """Whether more may match than were counted."""
    changed: int = 0
    failures: Sequence[BatchJobFailure] = ()


async def by_filter(
    session: Session, deed: Deed, queues: Sequence[str], wanted: Filter, reason: str, *, yes: bool
) -> Exit:
    """Does it to every job of these queues that matches and whose state admits it; without conditions to all of them."""
    chosen: dict[str, Any] = {"filter": job_filter(wanted)} if wanted else {"all": True}
    counted = [await _count(session, deed, queue, chosen) for queue in queues]
    reports = [report for report in counted if report.matched]
    if not reports:
        session.screen.say(f"No job matches that can be {deed.done.lower()}.")
        return _tell(session, deed, [])
    session.screen.confirm(_question(deed, reports), yes=yes)
    total = None if any(report.more for report in reports) else sum(report.matched for report in reports)
    chosen["reason"] = reason
    try:
        with bar(session.screen, f"{deed.word} {_amount(reports)}", total) as shown:
            for report in reports:
                async for _ in _worked_through(session, deed, report, chosen):
                    shown.show(sum(each.changed for each in reports), report.queue)
    except JobsError:
        _tell(session, deed, reports)  # what was done until then is done
        raise
    return _tell(session, deed, reports)


async def by_ids(session: Session, deed: Deed, queues: Sequence[tuple[str, Sequence[str]]], reason: str) -> Exit:
    """Does it to the jobs of these ids, queue by queue."""
    reports = []
    for queue, ids in queues:
        report = Report(queue, len(ids))
        for first in range(0, len(ids), IDS_A_CALL):
            some = ids[first : first + IDS_A_CALL]
            _add(report, await _call(session, deed, queue_name=queue, job_ids=some, reason=reason))
        reports.append(report)
    return _tell(session, deed, reports)


async def _count(session: Session, deed: Deed, queue: str, chosen: dict[str, Any]) -> Report:
    """As many as one call counts; a call that came upon none is followed by the next."""
    token = ""
    while True:
        answer = await _call(session, deed, queue_name=queue, validate_only=True, page_token=token, **chosen)
        token = answer.next_page_token
        if answer.matched or not token:
            return Report(queue, answer.matched, more=bool(token))


async def _worked_through(session: Session, deed: Deed, report: Report, chosen: dict[str, Any]) -> AsyncIterator[None]:
    """Calls until none is left; each call looks at a part of the queue and is one step of the iteration."""
    report.matched, token = 0, ""
    while True:
        answer = await _call(session, deed, queue_name=report.queue, page_token=token, **chosen)
        report.matched += answer.matched
        _add(report, answer)
        yield
        token = answer.next_page_token
        if not token:
            return


def _add(report: Report, answer: Any) -> None:
    report.changed += answer.changed
    report.failures = [*report.failures, *answer.failures]


async def _call(session: Session, deed: Deed, **request: Any) -> Any:
    return await session.call(getattr(session.jobs, deed.method), deed.request(**request), seconds=BULK_SECONDS)


def _question(deed: Deed, reports: Sequence[Report]) -> str:
    if len(reports) == 1:
        return f"{deed.word} {_amount(reports)} of {reports[0].queue}?"
    each = ", ".join(f"{_amount([report])} of {report.queue}" for report in reports)
    return f"{deed.word} {_amount(reports)} ({each})?"


def _amount(reports: Sequence[Report]) -> str:
    total = count_of(sum(report.matched for report in reports), "job")
    return f"at least {total}" if any(report.more for report in reports) else total


def _tell(session: Session, deed: Deed, reports: Sequence[Report]) -> Exit:
    """The report; a job that was asked for and left as it was makes it a failure."""
    failed = [failure for report in reports for failure in report.failures]
    if not session.screen.for_people:
        with session.screen.stream() as write:
            for report in reports:
                failures = [as_json(_without_details(failure)) for failure in report.failures]
                counts = {"matched": report.matched, "changed": report.changed}
                write({"queueName": report.queue, **counts, "failures": failures})
    else:
        for report in reports:
            session.screen.say(f"{deed.done} {count_of(report.changed, 'job')} of {report.queue}.")
        for failure in failed[:SHOWN_FAILURES]:
            session.screen.hint(f"  {failure.job.job_id}: {failure.error.message}")
        if len(failed) > SHOWN_FAILURES:
            session.screen.hint(f"  and {len(failed) - SHOWN_FAILURES} more: -o json lists them.")
    return Exit.FAILED if failed else Exit.OK


def _without_details(failure: BatchJobFailure) -> BatchJobFailure:
    """Its code and message, which say what the details say."""
    return BatchJobFailure(job=failure.job, error=Status(code=failure.error.code, message=failure.error.message))
