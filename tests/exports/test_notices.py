"""An export that is ready is told of by mail, once, with a link; where no mail can go out, it is good all the same."""

from datetime import UTC, datetime

import pytest
from qcollector.jobs.v1.email_pb2 import EmailExportNotification
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportExcel, ExportFormat, ExportFormSubmissions
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions

from base.settings import Settings
from base.telemetry.trace_context import TraceContext
from contract.admission import Origin
from contract.catalog import Catalog
from engine.jobs import JobQuery, JobRecord
from engine.store import Store
from families.database.sample_data.ids import user_id
from families.exports.notices import mail_id
from tests.exports.conftest import APP, LEAD, Desk, desk_of, working
from tests.mail.recording import RecordingJob
from workers.broker import OWN

MAIL = "email:send"
SOMCHAI = str(user_id(8))
NOTIFY = {"email": "somchai@example.com", "name": "Somchai"}


async def mails(desk: Desk) -> list[tuple[JobRecord, EmailExportNotification]]:
    page = await desk.inspection.page(MAIL, JobQuery())
    return [(record, EmailExportNotification.FromString(record.envelope.payload)) for record in page.jobs]


async def test_a_mail_tells_of_the_export_with_a_link(desk: Desk) -> None:
    payload = ExportFormSubmissions(form_id=LEAD, format=ExportFormat.EXPORT_FORMAT_XLSX, options={"notify": NOTIFY})
    made = (await desk.export(payload, job_id="mine")).metadata
    ((record, mail),) = await mails(desk)
    assert (mail.user.email, mail.user.first_name) == ("somchai@example.com", "Somchai")
    info = mail.export_info
    assert (info.type, info.format, info.records_count) == ("Sales lead", "Excel", made.record_count)
    assert info.file_size == str(int(made.file_size))
    assert info.download_url == ""
    assert (info.file.job.queue_name, info.file.job.job_id, info.file.sha256) == ("export:data", "mine", made.sha256)
    assert info.file.expire_time == made.expire_time
    assert info.generate_time.ToDatetime(tzinfo=UTC) <= datetime.now(UTC)
    assert record.envelope.job_type == "export-notification"
    assert record.id == mail_id(RecordingJob(desk.settings, job_id="mine", queue="export:data"))


async def test_the_mail_is_part_of_the_exports_trace(desk: Desk) -> None:
    desk.trace = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=opaque")
    await desk.export(ExportCsv(query={"model": "Form"}, notify=NOTIFY))
    ((record, _),) = await mails(desk)
    assert (record.envelope.traceparent, record.envelope.tracestate) == desk.trace


async def test_no_mail_goes_out_unless_it_is_asked_for(desk: Desk) -> None:
    await desk.export(ExportCsv(query={"model": "Form"}))
    assert await mails(desk) == []


async def test_a_further_start_of_the_same_export_sends_no_second_mail(desk: Desk) -> None:
    job_id = "again"
    mail = EmailExportNotification(user={"email": "somchai@example.com"}, export_info={"type": "Form", "format": "CSV"})
    options = {"job_id": mail_id(RecordingJob(desk.settings, job_id=job_id, queue="export:data"))}
    earlier = desk.admission.admit_payload(mail, JobOptions(**options), Origin(OWN))
    await desk.intake.enqueue(earlier.job)
    sheets = [{"name": "Forms", "query": {"model": "Form"}}]
    assert (await desk.export(ExportExcel(worksheets=sheets, notify=NOTIFY), job_id=job_id)).success
    assert len(await mails(desk)) == 1


async def test_where_mails_are_switched_off_the_export_completes_and_says_so(
    sample_database: Settings, store: Store, catalog: Catalog
) -> None:
    desk = desk_of(sample_database, store, catalog)
    async with working(desk.settings, enable_email_service=False):
        await desk.export(ExportCsv(query={"model": "Form"}, notify=NOTIFY), job_id="quiet")
    assert await mails(desk) == []
    lines, _ = await desk.inspection.logs("export:data", "quiet") or ([], 0)
    assert any("no mail was sent" in line.message for line in lines)


@pytest.mark.parametrize(
    ("caller", "name"),
    [
        (Caller(id=SOMCHAI, name="token", role="sales"), "สมชาย"),
        (Caller(id="nobody-we-know", name="token", role="sales"), "token"),
        (APP, "you won!"),
    ],
)
async def test_a_user_is_addressed_by_the_stored_name_and_only_services_choose_one(
    desk: Desk, caller: Caller, name: str
) -> None:
    notify = {"email": "somchai@example.com", "name": "you won!"}
    await desk.export(
        ExportFormSubmissions(form_id=LEAD, format=ExportFormat.EXPORT_FORMAT_CSV, options={"notify": notify}), caller
    )
    ((_, mail),) = await mails(desk)
    assert mail.user.first_name == name
