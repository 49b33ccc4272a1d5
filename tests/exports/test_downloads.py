"""What a caller may export is judged at enqueue, and again at download, where the file comes whole and by its name."""

import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from qcollector.jobs.v1.enqueue_pb2 import BatchEnqueueJobsRequest, EnqueueJobRequest
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportExcel, ExportFormat, ExportFormSubmissions, ExportJson
from qcollector.jobs.v1.job_queries_pb2 import DownloadResultRequest, GetJobRequest
from qcollector.jobs.v1.payload_pb2 import JobPayload
from sqlalchemy import delete, text, update

from base.settings import Settings
from families.database.connection import open_database, writing
from families.database.tables import forms
from service.downloads import CHUNK_BYTES, disposition
from tests.conftest import free_port
from tests.exports.conftest import LEAD, ONBOARDING, QUEUE, Desk
from tests.service.conftest import Caller, Running, refusal_in, refused, serving

CSV = ExportFormat.EXPORT_FORMAT_CSV
USERS = JobPayload(export_csv=ExportCsv(query={"model": "User"}, output_path="exports/Nutzer รายชื่อ.csv"))


@pytest.fixture
async def service(desk: Desk) -> AsyncIterator[Running]:
    async with serving(desk.settings) as started:
        yield started


@asynccontextmanager
async def alone(settings: Settings, **changes: Any) -> AsyncIterator[Running]:
    """A service without a worker."""
    async with serving(settings, **changes) as started:
        yield started


def of_form(form: str, **fields: Any) -> JobPayload:
    return JobPayload(export_form_submissions=ExportFormSubmissions(form_id=form, format=CSV, **fields))


async def enqueue(caller: Caller, payload: JobPayload) -> str:
    return str((await caller.jobs.EnqueueJob(EnqueueJobRequest(payload=payload))).job_id)


async def exported(caller: Caller, payload: JobPayload) -> str:
    job_id = await enqueue(caller, payload)
    answer = await caller.jobs.GetJob(GetJobRequest(queue_name=QUEUE, job_id=job_id, wait_seconds=30))
    assert answer.job.state == 4, answer.job.failed_reason
    return job_id


async def downloaded(caller: Caller, job_id: str) -> tuple[bytes, str, str]:
    """Content, type and Content-Disposition."""
    call = caller.jobs.DownloadResult(DownloadResultRequest(queue_name=QUEUE, job_id=job_id))
    named = dict(await call.initial_metadata())["content-disposition"]
    bodies = [body async for body in call]
    assert all(len(body.data) <= CHUNK_BYTES for body in bodies)
    return b"".join(body.data for body in bodies), bodies[0].content_type, str(named)


def not_found(caller: Caller, job_id: str) -> Any:
    return refused(caller.jobs.DownloadResult(DownloadResultRequest(queue_name=QUEUE, job_id=job_id)))


async def test_a_file_comes_whole_with_its_type_and_name(service: Running, desk: Desk) -> None:
    job_id = await exported(service.app, USERS)
    content, content_type, named = await downloaded(service.app, job_id)
    view = await service.app.jobs.GetJob(GetJobRequest(queue_name=QUEUE, job_id=job_id))
    made = view.job.result.export_csv.metadata
    assert content == (desk.folder / "Nutzer รายชื่อ.csv").read_bytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (made.sha256, made.file_size)
    assert content_type == "text/csv; charset=utf-8"
    assert named == (
        'attachment; filename="Nutzer _______.csv"; '
        "filename*=UTF-8''Nutzer%20%E0%B8%A3%E0%B8%B2%E0%B8%A2%E0%B8%8A%E0%B8%B7%E0%B9%88%E0%B8%AD.csv"
    )


async def test_a_large_file_comes_in_chunks_and_an_empty_one_comes_too(service: Running, desk: Desk) -> None:
    large = await exported(service.app, JobPayload(export_json=ExportJson(query={"model": "Submission"})))
    content, content_type, _ = await downloaded(service.app, large)
    assert len(content) > 4 * CHUNK_BYTES
    assert content_type == "application/json"
    bare = ExportCsv(query={"model": "User", "options": {"limit": 1, "where": {"username": "nobody"}}})
    bare.options.include_header = False
    content, content_type, _ = await downloaded(service.app, await exported(service.app, JobPayload(export_csv=bare)))
    assert (content, content_type) == (b"", "text/csv; charset=utf-8")


def test_names_are_told_as_rfc_6266_has_it() -> None:
    assert disposition("form_1.csv") == 'attachment; filename="form_1.csv"'
    told = disposition('a"; filename="x.exe\r\nSet-Cookie: a=b')
    assert "\r" not in told
    assert told.startswith('attachment; filename="a_; filename=_x.exe__Set-Cookie: a=b"; ')
    assert disposition("annexe\u202efdp.exe") == 'attachment; filename="annexefdp.exe"', "what it ends in is seen"


async def test_only_its_owner_and_administrators_get_a_file(service: Running) -> None:
    sales = service.as_("sales", "somchai")
    job_id = await exported(sales, of_form(LEAD))
    assert (await downloaded(service.admin, job_id))[0] == (await downloaded(sales, job_id))[0]
    for other in (service.as_("sales", "malee"), service.app):
        assert (await not_found(other, job_id)).code is grpc.StatusCode.NOT_FOUND


async def test_who_may_no_longer_see_the_form_gets_no_file_of_it(service: Running, desk: Desk) -> None:
    sales = service.as_("sales", "somchai")
    job_id = await exported(sales, of_form(LEAD))
    engine = open_database(desk.settings)
    async with writing(engine) as connection:
        await connection.execute(update(forms).where(forms.c.id == LEAD).values(roles_allowed=["marketing"]))
    refusal = await not_found(sales, job_id)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESULT_NOT_FOUND")
    assert "no longer, yours to see" in refusal.message
    async with writing(engine) as connection:
        await connection.execute(delete(forms).where(forms.c.id == LEAD))
    await engine.dispose()
    assert (await downloaded(service.admin, job_id))[0]


async def test_a_file_that_is_gone_or_another_one_is_not_found(service: Running, desk: Desk) -> None:
    job_id = await exported(service.app, USERS)
    path = desk.folder / "Nutzer รายชื่อ.csv"
    secret = desk.folder.parent / "secret.csv"
    shutil.copy(path, secret)
    outside = desk.folder.parent.parent / "outside.csv"
    shutil.copy(path, outside)

    async def is_gone() -> None:
        refusal = await not_found(service.app, job_id)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESULT_NOT_FOUND")
        assert "kept for 7 days" in refusal.message

    path.write_bytes(path.read_bytes() + b"more")
    await is_gone()
    path.unlink()
    await is_gone()
    for elsewhere in (secret, outside):  # of the same size, so that only its place speaks against it
        path.symlink_to(elsewhere)
        await is_gone()
        path.unlink()
    os.mkfifo(path)
    await is_gone()


async def test_a_download_goes_on_when_the_file_is_removed_meanwhile(service: Running, desk: Desk) -> None:
    job_id = await exported(service.app, JobPayload(export_json=ExportJson(query={"model": "Submission"})))
    call = service.app.jobs.DownloadResult(DownloadResultRequest(queue_name=QUEUE, job_id=job_id))
    sizes = []
    async for body in call:
        sizes.append(len(body.data))
        for path in desk.files():
            path.unlink()
    assert len(sizes) > 4
    record = await service.app.jobs.GetJob(GetJobRequest(queue_name=QUEUE, job_id=job_id))
    assert sum(sizes) == record.job.result.export_json.metadata.file_size


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (JobPayload(export_csv=ExportCsv(query={"model": "Users"})), ["payload.exportCsv.query.model"]),
        (
            JobPayload(export_json=ExportJson(query={"model": "User", "options": {"where": {"password_hash": "x"}}})),
            ["payload.exportJson.query.options.where.password_hash"],
        ),
        (
            JobPayload(
                export_excel=ExportExcel(
                    worksheets=[
                        {"name": "a", "query": {"model": "Form"}},
                        {"name": "b", "query": {"model": "Form"}, "fields": ["settings"]},
                    ]
                )
            ),
            ["payload.exportExcel.worksheets[1].fields[0]"],
        ),
        (
            JobPayload(export_csv=ExportCsv(query={"model": "User"}, output_path="uploads/x.csv")),
            ["payload.exportCsv.outputPath"],
        ),
        (
            JobPayload(export_csv=ExportCsv(query={"model": "User"}, output_path="exports/.exports/made/x")),
            ["payload.exportCsv.outputPath"],
        ),
        (
            JobPayload(export_csv=ExportCsv(query={"model": "User"}, output_path="exports")),
            ["payload.exportCsv.outputPath"],
        ),
        (
            of_form(LEAD, date_range={"start": "2025-02-30", "timezone": "Mars"}),
            ["payload.exportFormSubmissions.dateRange.timezone"],
        ),
        (of_form("123"), ["payload.exportFormSubmissions.formId"]),
        (of_form("f0000000-0000-4000-8000-00000000ffff"), ["payload.exportFormSubmissions.formId"]),
    ],
)
async def test_what_cannot_be_exported_is_refused_at_enqueue_by_its_field(
    sample_database: Settings, payload: JobPayload, fields: list[str]
) -> None:
    async with alone(sample_database) as service:
        refusal = await refused(service.app.jobs.EnqueueJob(EnqueueJobRequest(payload=payload)))
        checked = EnqueueJobRequest(payload=payload, validate_only=True)
        again = await refused(service.app.jobs.EnqueueJob(checked))
        batch = await service.app.jobs.BatchEnqueueJobs(
            BatchEnqueueJobsRequest(jobs=[checked, EnqueueJobRequest(payload=payload)])
        )
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, fields)
    assert again.fields == fields
    assert [refusal_in(result.error).fields for result in batch.results] == [fields, fields]


async def test_the_documented_example_is_taken_by_its_words(sample_database: Settings) -> None:
    where: dict[str, Any] = {"form_id": 123}
    data = {
        "query": {"model": "Submission", "options": {"where": where, "include": [{"model": "SubmissionData"}]}},
        "fields": ["id", "created_at", "status"],
        "outputPath": "exports/export.csv",
    }
    async with alone(sample_database) as service:
        request = EnqueueJobRequest(queue_name=QUEUE, job_type="csv", data=ParseDict(data, Struct()))
        refusal = await refused(service.app.jobs.EnqueueJob(request))
        assert refusal.fields == ["data.query.options.where.form_id"]
        where["form_id"] = LEAD
        request = EnqueueJobRequest(queue_name=QUEUE, job_type="csv", data=ParseDict(data, Struct()))
        assert (await service.app.jobs.EnqueueJob(request)).job_id


async def test_users_export_forms_that_they_may_see_and_no_queries(sample_database: Settings) -> None:
    async with alone(sample_database) as service:
        sales = service.as_("sales", "somchai")
        assert await enqueue(sales, of_form(LEAD))
        foreign = await refused(sales.jobs.EnqueueJob(EnqueueJobRequest(payload=of_form(ONBOARDING))))
        assert foreign.fields == ["payload.exportFormSubmissions.formId"]
        absent = await refused(
            sales.jobs.EnqueueJob(EnqueueJobRequest(payload=of_form("f0000000-0000-4000-8000-00000000ffff")))
        )
        assert absent.message.replace("00000000ffff", "000000000005") == foreign.message
        for payload in (USERS, JobPayload(export_json=ExportJson(query={"model": "User"}))):
            refusal = await refused(sales.jobs.EnqueueJob(EnqueueJobRequest(payload=payload)))
            assert refusal.reason == "ROLE_INSUFFICIENT"


async def test_without_the_database_forms_cannot_be_judged_and_only_one_that_is_away_is_worth_coming_back_to(
    settings: Settings,
) -> None:
    async with alone(settings) as service:
        refusal = await refused(service.app.jobs.EnqueueJob(EnqueueJobRequest(payload=of_form(LEAD))))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DATABASE_UNFIT")
        assert "set DATABASE_URL" in refusal.message
        assert await enqueue(service.app, USERS), "queries are judged by the models alone"
    away = settings.model_validate(
        {**settings.model_dump(), "database_url": f"postgresql://u:hush@127.0.0.1:{free_port()}/x"}
    )
    async with alone(away) as service:
        refusal = await refused(service.app.jobs.EnqueueJob(EnqueueJobRequest(payload=of_form(LEAD))))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
        assert (refusal.retry_after, "hush" in refusal.message) == (5, False)


async def test_a_database_without_the_tables_is_told_by_the_table_and_not_to_be_asked_again(database: Settings) -> None:
    engine = open_database(database)
    async with writing(engine) as connection:
        await connection.execute(text("DROP TABLE forms CASCADE"))
    await engine.dispose()
    async with alone(database) as service:
        refusal = await refused(service.app.jobs.EnqueueJob(EnqueueJobRequest(payload=of_form(LEAD))))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DATABASE_UNFIT")
    assert refusal.retry_after is None
    assert '"forms" does not exist' in refusal.message
    assert "migrations" in refusal.message


def rules() -> list[tuple[Message, str]]:
    query = {"model": "User"}
    return [
        (ExportCsv(), "query"),
        (ExportCsv(query=query, options={"delimiter": ";;"}), "options.delimiter"),
        (ExportCsv(query=query, options={"delimiter": "\n"}), "options.delimiter"),
        (ExportCsv(query=query, options={"quote": ","}), "options.quote"),
        (ExportCsv(query=query, options={"quote": "|", "delimiter": "|"}), "options"),
        (ExportCsv(query=query, options={"encoding": "latin1"}), "options.encoding"),
        (ExportCsv(query=query, output_path="../x.csv"), "outputPath"),
        (ExportCsv(query=query, notify={"email": "a@b\r\nBcc: c@d"}), "notify.email"),
        (ExportJson(query=query, options={"indent": 9}), "options.indent"),
        (ExportExcel(), ""),
        (ExportExcel(query=query, worksheets=[{"name": "a", "query": query}]), ""),
        (ExportExcel(worksheets=[{"name": "a/b", "query": query}]), "worksheets[0].name"),
        (ExportFormSubmissions(format=CSV), "formId"),
        (ExportFormSubmissions(form_id=LEAD), "format"),
        (ExportFormSubmissions(form_id=LEAD, format=CSV, options={"statuses": ["gone"]}), "options.statuses[0]"),
    ]


async def test_the_contracts_own_rules_name_their_fields(settings: Settings) -> None:
    async with alone(settings) as service:
        for payload, field in rules():
            member = {
                ExportCsv: "export_csv",
                ExportJson: "export_json",
                ExportExcel: "export_excel",
                ExportFormSubmissions: "export_form_submissions",
            }[type(payload)]
            request = EnqueueJobRequest(payload=JobPayload(**{member: payload}))
            refusal = await refused(service.app.jobs.EnqueueJob(request))
            assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
            first, *others = member.split("_")
            root = "payload." + first + "".join(word.capitalize() for word in others)
            assert (f"{root}.{field}" if field else root) in refusal.fields, payload
