"""Alerts: somebody hears of critical failures, once for each cause and window."""

import pytest
from qcollector.jobs.v1.email_pb2 import EmailSend

from base.settings import Settings
from contract.catalog import Catalog
from engine.claims import Claims
from engine.jobs import Cause, JobQuery, Outcome, Settlement
from engine.store import Store
from families.email.alerts import Alerts
from tests.conftest import eventually
from tests.engine.conftest import Engine, engine_on
from tests.workers.conftest import WORK, new_job
from workers.duties import SchedulerContext

MAIL = "email:send"
MOMENT = 1e-6
"""Minutes of a window that is over by the next look."""


@pytest.fixture
def engine(store: Store, settings: Settings, catalog: Catalog) -> Engine:
    return engine_on(store, settings, catalog)


@pytest.fixture
def alerts(store: Store, settings: Settings, catalog: Catalog) -> Alerts:
    told = settings.model_copy(update={"alert_email": "ops@example.com"})
    return Alerts(SchedulerContext.of(told, store, catalog))


async def failed(engine: Engine, word: str, reason: str, cause: Cause = Cause.HANDLER_GAVE_UP) -> str:
    """A job that failed for good, for that reason."""
    job = new_job(WORK, word, b"")
    await engine.add(job)
    worker = Claims(engine.store, engine.catalog.queue(WORK), "w", engine.settings)
    (claimed,) = (await worker.claim(1)).jobs
    ended = Settlement(claimed.id, claimed.fence, Outcome.FAIL_FOR_GOOD, reason=reason, cause=cause)
    await worker.settle([ended], 0)
    return job.id


async def mails(engine: Engine) -> list[EmailSend]:
    page = await engine.inspection.page(MAIL, JobQuery())
    return [EmailSend.FromString(job.envelope.payload) for job in page.jobs]


async def test_a_critical_failure_is_told_with_its_job_and_reason(engine: Engine, alerts: Alerts) -> None:
    job_id = await failed(engine, "noop", "its worker died", Cause.STALLED)
    assert len(await alerts.tell()) == 1
    (mail,) = await mails(engine)
    assert list(mail.to) == ["ops@example.com"]
    assert mail.subject == "Job failed: test:work/noop"
    assert job_id in mail.text
    assert "its worker died" in mail.text


async def test_one_cause_is_told_once_a_window_however_often_and_by_however_many(
    engine: Engine, alerts: Alerts, store: Store, settings: Settings, catalog: Catalog
) -> None:
    other = Alerts(SchedulerContext.of(settings.model_copy(update={"alert_email": "ops@example.com"}), store, catalog))
    told = []
    for number in range(5):
        await failed(engine, "noop", f"no worker knows job {number:08x}aa", Cause.UNKNOWN_TYPE)
        told += await alerts.tell()
        told += await other.tell()
    assert len(told) == 1
    await failed(engine, "script", "no worker knows job 1", Cause.UNKNOWN_TYPE)
    assert len(await alerts.tell()) == 1


async def test_a_failure_that_was_told_is_not_told_again_in_the_next_window(
    engine: Engine, store: Store, settings: Settings, catalog: Catalog
) -> None:
    told = settings.model_copy(update={"alert_email": "ops@example.com", "alert_window_minutes": MOMENT})
    alerts = Alerts(SchedulerContext.of(told, store, catalog))
    await failed(engine, "noop", "no worker knows it", Cause.UNKNOWN_TYPE)
    (first,) = await alerts.tell()
    assert await alerts.tell() == []
    await failed(engine, "noop", "no worker knows it", Cause.UNKNOWN_TYPE)
    (second,) = await alerts.tell()
    assert first != second, "each look has a window of its own here"


async def test_an_alert_that_cannot_be_sent_is_no_cause_for_another(engine: Engine, alerts: Alerts) -> None:
    await failed(engine, "noop", "no worker knows it", Cause.UNKNOWN_TYPE)
    (mail,) = await alerts.tell()
    worker = Claims(engine.store, engine.catalog.queue(MAIL), "w", engine.settings)
    (claimed,) = (await worker.claim(1)).jobs
    assert claimed.id == mail
    ended = Settlement(claimed.id, claimed.fence, Outcome.FAIL_FOR_GOOD, reason="stalled", cause=Cause.STALLED)
    await worker.settle([ended], 0)
    assert await alerts.tell() == []


async def test_an_ordinary_failure_is_not_told_whatever_its_words(engine: Engine, alerts: Alerts) -> None:
    await failed(engine, "noop", "just wrong")
    await failed(engine, "noop", "stalled for the third time: no worker knows it")
    assert await alerts.tell() == []


async def test_a_job_that_the_store_fails_for_its_third_stall_is_told(engine: Engine, alerts: Alerts) -> None:
    await engine.add(new_job(WORK, "noop", b""))
    worker = Claims(
        engine.store, engine.catalog.queue(WORK), "w", engine.settings.model_copy(update={"queue_lease_seconds": 0.01})
    )

    async def stalls() -> bool:
        return bool((await worker.reap()).stalled)

    for _ in range(3):
        assert (await worker.claim(1)).jobs
        await eventually(stalls)
    assert len(await alerts.tell()) == 1


async def test_a_type_that_declares_itself_critical_is_told_whatever_the_reason(
    engine: Engine, store: Store, settings: Settings, catalog: Catalog
) -> None:
    from dataclasses import replace  # noqa: PLC0415

    types = [replace(t, critical=t.key == "test:work/noop") for t in catalog.types.values()]
    critical = Catalog(types, catalog.queues.values())
    alerts = Alerts(
        SchedulerContext.of(settings.model_copy(update={"alert_email": "ops@example.com"}), store, critical)
    )
    await failed(engine, "noop", "just wrong")
    assert len(await alerts.tell()) == 1


async def test_a_flood_of_ordinary_failures_hides_no_critical_one(engine: Engine, alerts: Alerts) -> None:
    job_id = await failed(engine, "noop", "no worker knows it", Cause.UNKNOWN_TYPE)
    jobs = [new_job(WORK, "noop", b"") for _ in range(300)]
    await engine.intake.enqueue_many(jobs)
    worker = Claims(engine.store, engine.catalog.queue(WORK), "w", engine.settings)
    claimed = (await worker.claim(len(jobs))).jobs
    assert len(claimed) == len(jobs)
    await worker.settle(
        [Settlement(one.id, one.fence, Outcome.FAIL_FOR_GOOD, reason="just wrong") for one in claimed], 0
    )
    assert len(await alerts.tell()) == 1
    (mail,) = await mails(engine)
    assert job_id in mail.text
