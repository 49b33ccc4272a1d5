"""The latest results are read without a new job, by those who may see what they are about."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats, FormStats, SystemAnalytics, UserActivity
from qcollector.jobs.v1.analytics_service_pb2 import GetLatestAnalyticsRequest, GetLatestAnalyticsResponse
from qcollector.jobs.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.payload_pb2 import JobPayload

from base.settings import Settings
from engine.kept_results import KeptResults
from engine.store import Store
from families.analytics.kept import ANALYTICS
from families.database.sample_data.ids import form_id, user_id
from tests.conftest import ValkeyServer
from tests.service.conftest import Running, bearer, refused, serving

LEAD = str(form_id(3))
SALES, WORKER = str(user_id(4)), str(user_id(8))
CALCULATED = Timestamp(seconds=1_770_000_000)


@pytest.fixture
async def service(sample_database: Settings) -> AsyncIterator[Running]:
    async with serving(sample_database) as started:
        yield started


@pytest.fixture
async def kept(store: Store) -> KeptResults:
    """With a result of each kind."""
    results = KeptResults(store, ANALYTICS)
    for subject, result in (
        (f"form-stats/{LEAD}", FormStats(form_id=LEAD, calculate_time=CALCULATED)),
        ("system-analytics/month", SystemAnalytics(period="month", calculate_time=CALCULATED)),
        (f"user-activity/{WORKER}", UserActivity(user_id=WORKER, calculate_time=CALCULATED)),
    ):
        await results.keep(subject, result.SerializeToString())
    return results


async def latest(service: Running, kind: str, subject: str, role: str, caller: str = "x") -> GetLatestAnalyticsResponse:
    request = GetLatestAnalyticsRequest(kind=kind, subject=subject)
    stub: Any = AnalyticsServiceStub(service.channel)
    answer: GetLatestAnalyticsResponse = await stub.GetLatestAnalytics(request, metadata=bearer(sub=caller, role=role))
    return answer


async def test_each_kind_is_read_under_its_subject(service: Running, kept: KeptResults) -> None:
    form = await latest(service, "form-stats", LEAD.upper(), "admin")
    assert (form.WhichOneof("result"), form.form_stats.form_id) == ("form_stats", LEAD)
    assert form.calculate_time == CALCULATED
    month = await latest(service, "system-analytics", "month", "service")
    assert month.system_analytics.period == "month"
    activity = await latest(service, "user-activity", WORKER, "admin")
    assert activity.user_activity.user_id == WORKER


@pytest.mark.parametrize(
    ("kind", "subject", "role", "caller", "sees"),
    [
        ("form-stats", LEAD, "sales", "x", True),
        ("form-stats", LEAD, "general_user", SALES, True),  # who made it
        ("form-stats", LEAD, "general_user", WORKER, False),
        ("system-analytics", "month", "general_user", WORKER, False),
        ("user-activity", WORKER, "general_user", WORKER, True),
        ("user-activity", WORKER, "general_user", SALES, False),
        ("user-activity", WORKER, "service", "app", True),
        ("system-analytics", "day", "admin", "x", False),  # none is kept
        ("form-stats", "123", "admin", "x", False),
    ],
)
async def test_who_may_not_see_a_result_cannot_tell_it_from_none(
    service: Running, kept: KeptResults, kind: str, subject: str, role: str, caller: str, sees: bool
) -> None:
    if sees:
        assert (await latest(service, kind, subject, role, caller)).calculate_time == CALCULATED
        return
    refusal = await refused(latest(service, kind, subject, role, caller))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESULT_NOT_FOUND")
    assert refusal.metadata == {"kind": kind, "subject": subject}


async def test_an_unknown_kind_is_refused_by_field(service: Running) -> None:
    assert (await refused(latest(service, "weather", "today", "admin"))).fields == ["kind"]


@pytest.mark.parametrize(
    ("payload", "role", "field"),
    [
        (JobPayload(analytics_form_stats={"form_id": LEAD}), "general_user", "payload.analyticsFormStats.formId"),
        (JobPayload(analytics_form_stats={"form_id": "1"}), "admin", "payload.analyticsFormStats.formId"),
        (
            JobPayload(analytics_form_stats={"form_id": LEAD, "date_range": {"start": "2025-02-30"}}),
            "admin",
            "payload.analyticsFormStats.dateRange.start",
        ),
        (
            JobPayload(analytics_system_analytics={"timezone": "Mars"}),
            "admin",
            "payload.analyticsSystemAnalytics.timezone",
        ),
    ],
)
async def test_what_cannot_be_calculated_is_refused_at_enqueue(
    service: Running, payload: JobPayload, role: str, field: str
) -> None:
    refusal = await refused(service.as_(role, WORKER).jobs.EnqueueJob(EnqueueJobRequest(payload=payload)))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])


async def test_whoever_may_see_a_form_may_have_its_statistics(service: Running) -> None:
    payload = JobPayload(analytics_form_stats=AnalyticsFormStats(form_id=LEAD))
    assert (await service.as_("sales").jobs.EnqueueJob(EnqueueJobRequest(payload=payload))).job_id


async def test_of_more_subjects_than_are_kept_the_oldest_are_let_go(store: Store, valkey: ValkeyServer) -> None:
    results = KeptResults(store, "test", limit=3)
    for number in range(5):
        await results.keep(f"s{number}", b"%d" % number)
    await results.keep("s2", b"again")
    assert [await results.get(f"s{number}") for number in range(5)] == [None, None, b"again", b"3", b"4"]
    assert sorted(await results.drop()) == ["s2", "s3", "s4"]
    assert await results.get("s2") is None
