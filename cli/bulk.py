"""What is done to many jobs at once: counted first, confirmed, carried out with a bar, and reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.rpc.status_pb2 import Status
from qcollector.jobs.v1.job_service_pb2 import (
    BatchCancelJobsRequest,
    BatchDeleteJobsRequest,
    BatchJobFailure,
    BatchPromoteJobsRequest,
    BatchRetryJobsRequest,
)

from cli.bars import Bar, bar
from cli.exits import Exit
from cli.filters import job_filter
from cli.mapping import as_json
from cli.selection import Filter
from cli.session import BULK_SECONDS, Session
from cli.words import count_of

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
    matched: int
    changed: int = 0
    failures: Sequence[BatchJobFailure] = ()


async def by_filter(session: Session, deed: Deed, queues: Sequence[str], wanted: Filter, *, yes: bool) -> Exit:
    """Does it to every job of these queues that matches and whose state admits it."""
    request = {"filter": job_filter(wanted)}
    reports = []
    for queue in queues:
        answer = await _call(session, deed, queue_name=queue, validate_only=True, **request)
        reports.append(Report(queue, answer.matched))
    total = sum(report.matched for report in reports)
    if not total:
        session.screen.say(f"No job matches that can be {deed.done.lower()}.")
        return _tell(session, deed, [])
    reports = [report for report in reports if report.matched]
    session.screen.confirm(_question(deed, reports, total), yes=yes)
    with bar(session.screen, f"{deed.word} {count_of(total, 'job')}", total) as shown:
        for report in reports:
            await _work_through(session, deed, report, request, shown)
    return _tell(session, deed, reports)


async def by_ids(session: Session, deed: Deed, queues: Sequence[tuple[str, Sequence[str]]]) -> Exit:
    """Does it to the jobs of these ids, queue by queue."""
    reports = []
    for queue, ids in queues:
        report = Report(queue, len(ids))
        for first in range(0, len(ids), IDS_A_CALL):
            answer = await _call(session, deed, queue_name=queue, job_ids=ids[first : first + IDS_A_CALL])
            report.changed += answer.changed
            report.failures = [*report.failures, *answer.failures]
        reports.append(report)
    return _tell(session, deed, reports)


async def _work_through(session: Session, deed: Deed, report: Report, request: Any, shown: Bar) -> None:
    """Calls until no more match; one call changes a hundred thousand at most."""
    more = True
    while more:
        answer = await _call(session, deed, queue_name=report.queue, **request)
        report.changed += answer.changed
        report.failures = [*report.failures, *answer.failures]
        shown.show(report.changed, report.queue)
        more = answer.more and answer.changed > 0


async def _call(session: Session, deed: Deed, **request: Any) -> Any:
    return await session.call(getattr(session.jobs, deed.method), deed.request(**request), seconds=BULK_SECONDS)


def _question(deed: Deed, reports: Sequence[Report], total: int) -> str:
    if len(reports) == 1:
        return f"{deed.word} {count_of(total, 'job')} of {reports[0].queue}?"
    each = ", ".join(f"{report.matched:,} of {report.queue}" for report in reports)
    return f"{deed.word} {count_of(total, 'job')} ({each})?"


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
            session.screen.hint(f"  {failure.job_id}: {failure.error.message}")
        if len(failed) > SHOWN_FAILURES:
            session.screen.hint(f"  and {len(failed) - SHOWN_FAILURES} more: -o json lists them.")
    return Exit.FAILED if failed else Exit.OK


def _without_details(failure: BatchJobFailure) -> BatchJobFailure:
    """Its code and message, which say what the details say."""
    return BatchJobFailure(job_id=failure.job_id, error=Status(code=failure.error.code, message=failure.error.message))
