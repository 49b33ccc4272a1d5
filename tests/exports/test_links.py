"""A signed link opens one file in a browser, without a token, and nothing else."""

import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from qcollector.jobs.v1.email_pb2 import EmailExportNotification
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportFormat, ExportFormSubmissions
from qcollector.jobs.v1.job_actions_pb2 import DeleteJobRequest
from qcollector.jobs.v1.job_queries_pb2 import DownloadResultRequest, GetJobRequest
from qcollector.jobs.v1.payload_pb2 import JobPayload
from sqlalchemy import update

from base.settings import Settings
from contract.errors import TokenExpiredError, TokenInvalidError
from engine.links import DownloadLinks, download_url
from engine.store import Store
from families.database.connection import open_database, writing
from families.database.sample_data.ids import user_id
from families.database.tables import forms
from tests.exports.conftest import LEAD, QUEUE, Desk
from tests.service.conftest import Caller, Running, refused, serving

CSV = ExportFormat.EXPORT_FORMAT_CSV
SHA256 = "0123456789abcdef" * 4
SOMCHAI = str(user_id(8))


@pytest.fixture
async def service(desk: Desk) -> AsyncIterator[Running]:
    async with serving(desk.settings) as started:
        yield started


@pytest.fixture
def links(store: Store) -> DownloadLinks:
    return DownloadLinks(store)


def soon() -> int:
    return int(time.time()) + 600


def of_form(**notify: str) -> JobPayload:
    options = {"notify": notify} if notify else {}
    return JobPayload(export_form_submissions=ExportFormSubmissions(form_id=LEAD, format=CSV, options=options))


async def exported(caller: Caller, payload: JobPayload) -> tuple[str, Any]:
    """The id of a new export that has completed, and what it tells of its file."""
    job_id = (await caller.jobs.EnqueueJob(EnqueueJobRequest(payload=payload))).job_id
    answer = await caller.jobs.GetJob(GetJobRequest(queue_name=QUEUE, job_id=job_id, wait_seconds=30))
    result = getattr(answer.job.result, answer.job.result.WhichOneof("result"))
    return job_id, result.metadata


def followed(service: Running, job_id: str, token: str, queue: str = QUEUE) -> Any:
    """The call of a browser that follows a link."""
    request = DownloadResultRequest(queue_name=queue, job_id=job_id, download_token=token)
    return service.with_metadata().jobs.DownloadResult(request)


async def test_a_link_opens_its_file_without_a_token(service: Running, desk: Desk, links: DownloadLinks) -> None:
    job_id, made = await exported(service.app, JobPayload(export_csv=ExportCsv(query={"model": "User"})))
    token = await links.sign(QUEUE, job_id, made.sha256, made.expire_time.ToSeconds())
    content = b"".join([body.data async for body in followed(service, job_id, token)])
    assert content
    assert content in {path.read_bytes() for path in desk.files()}


async def test_without_a_link_a_download_still_takes_a_token(service: Running) -> None:
    refusal = await refused(followed(service, "any", ""))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


async def test_a_bearer_token_counts_also_beside_a_link(service: Running, links: DownloadLinks) -> None:
    job_id, made = await exported(service.app, JobPayload(export_csv=ExportCsv(query={"model": "User"})))
    token = await links.sign(QUEUE, job_id, made.sha256, soon())
    request = DownloadResultRequest(queue_name=QUEUE, job_id=job_id, download_token=token)
    refusal = await refused(service.as_("sales", "somebody-else").jobs.DownloadResult(request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


async def test_whoever_guesses_learns_nothing_about_jobs(service: Running, links: DownloadLinks) -> None:
    job_id, made = await exported(service.app, JobPayload(export_csv=ExportCsv(query={"model": "User"})))
    good = await links.sign(QUEUE, job_id, made.sha256, soon())
    other = await links.sign(QUEUE, "another", made.sha256, soon())
    forged = [good[:-4] + "AAAA", good[:8] + "zz" + good[10:], other, "x", "%00", "é", "A" * 128]
    there = [await refused(followed(service, job_id, token)) for token in forged]
    absent = [await refused(followed(service, "absent", token)) for token in forged]
    nowhere = [await refused(followed(service, job_id, token, "no:queue")) for token in forged]
    assert {(r.code, r.reason, r.message) for r in there + absent + nowhere} == {
        (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", there[0].message)
    }


async def test_a_link_ends_with_its_file(service: Running, links: DownloadLinks) -> None:
    refusal = await refused(followed(service, "any", await links.sign(QUEUE, "any", SHA256, int(time.time()))))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
    assert "export again" in refusal.message


async def test_a_link_does_not_open_another_file_under_the_same_id(service: Running, links: DownloadLinks) -> None:
    job_id, _ = await exported(service.app, JobPayload(export_csv=ExportCsv(query={"model": "User"})))
    refusal = await refused(followed(service, job_id, await links.sign(QUEUE, job_id, SHA256, soon())))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESULT_NOT_FOUND")


async def test_a_link_dies_with_its_job_and_with_the_right_to_see_the_form(
    service: Running, desk: Desk, links: DownloadLinks
) -> None:
    job_id, made = await exported(service.as_("sales", "somchai"), of_form())
    token = await links.sign(QUEUE, job_id, made.sha256, soon())
    assert b"".join([body.data async for body in followed(service, job_id, token)])
    engine = open_database(desk.settings)
    async with writing(engine) as connection:
        await connection.execute(update(forms).where(forms.c.id == LEAD).values(roles_allowed=["marketing"]))
    await engine.dispose()
    assert (await refused(followed(service, job_id, token))).reason == "RESULT_NOT_FOUND"
    await service.admin.jobs.DeleteJob(DeleteJobRequest(queue_name=QUEUE, job_id=job_id))
    assert (await refused(followed(service, job_id, token))).reason == "JOB_NOT_FOUND"


async def test_all_processes_share_the_key_and_learn_of_a_new_one(store: Store, settings: Settings) -> None:
    one, two = DownloadLinks(store), DownloadLinks(store)
    token = await one.sign(QUEUE, "j", SHA256, soon())
    assert (await two.check(QUEUE, "j", token)).opens(SHA256)
    await store.client.delete(store.keys("links")["signing"])  # as when the store was replaced
    fresh = await one.sign(QUEUE, "j", SHA256, soon())
    two._read_at = float("-inf")
    assert (await two.check(QUEUE, "j", fresh)).opens(SHA256)
    with pytest.raises(TokenInvalidError):
        await two.check(QUEUE, "j", token)


async def test_wrong_links_do_not_make_the_store_work(store: Store, links: DownloadLinks) -> None:
    await links.sign(QUEUE, "j", SHA256, soon())
    wrong = await links.sign(QUEUE, "other", SHA256, soon())
    before = int((await store.client.info("commandstats"))["cmdstat_evalsha"]["calls"])
    for _ in range(50):
        with pytest.raises(TokenInvalidError):
            await links.check(QUEUE, "j", wrong)
    assert int((await store.client.info("commandstats"))["cmdstat_evalsha"]["calls"]) - before < 50


async def test_a_time_that_is_over_is_told_apart_from_a_wrong_signature(links: DownloadLinks) -> None:
    with pytest.raises(TokenExpiredError):
        await links.check(QUEUE, "j", await links.sign(QUEUE, "j", SHA256, 1))


def test_addresses_escape_what_they_name() -> None:
    assert download_url("https://a.example/", "export:data", "j", "t") == (
        "https://a.example/api/v1/queue/export:data/jobs/j/result?downloadToken=t"
    )
    assert "/jobs/a%2Fb/result" in download_url("https://a.example", "q", "a/b")


async def test_a_user_is_told_at_the_own_address_alone(service: Running) -> None:
    by_token = service.as_("sales", "somchai", email="Somchai@Work.example")
    by_table = service.as_("sales", SOMCHAI)
    allowed = [
        (service.app, "any@example.com"),
        (service.admin, "any@example.com"),
        (by_token, "somchai@work.example"),
        (by_table, "Somchai@example.com"),
    ]
    for caller, email in allowed:
        await caller.jobs.EnqueueJob(EnqueueJobRequest(payload=of_form(email=email), validate_only=True))
    for caller, email in [(by_token, "stranger@victim.example"), (by_table, "somchai@work.example")]:
        refusal = await refused(caller.jobs.EnqueueJob(EnqueueJobRequest(payload=of_form(email=email))))
        assert refusal.fields == ["payload.exportFormSubmissions.options.notify.email"]
        assert "your own address" in refusal.message


async def test_nobody_has_the_service_sign_a_link(service: Running) -> None:
    file = {"job": {"queue_name": QUEUE, "job_id": "j"}, "sha256": SHA256, "expire_time": {"seconds": soon()}}
    mail = EmailExportNotification(user={"email": "a@example.com"}, export_info={"type": "Form", "file": file})
    payload = JobPayload(email_export_notification=mail)
    refusal = await refused(service.app.jobs.EnqueueJob(EnqueueJobRequest(payload=payload)))
    assert refusal.fields == ["payload.emailExportNotification.exportInfo.file"]
