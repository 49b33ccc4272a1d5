"""What health says of the mail server, to its own check and as a part of the whole."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from qcollector.jobs.v1.overview_pb2 import (
    CheckEmailHealthRequest,
    CheckHealthRequest,
)
from qcollector.jobs.v1.queue_pb2 import Worker as WorkerReport

from base.settings import Settings
from engine.presence import SCHEDULERS, Presence
from engine.store import Store
from families.email import health
from tests.mail.mailserver import MailServer, raw_server
from tests.service.conftest import Noop, Running, serving


async def checked(service: Running, method: str = "CheckHealth") -> tuple[Any, dict[str, Any], str]:
    """The answer, its checks by name, and the HTTP status that a gateway is told."""
    request = CheckHealthRequest() if method == "CheckHealth" else CheckEmailHealthRequest()
    call = getattr(service.user.jobs, method)(request)
    answer = await call
    told = dict(await call.initial_metadata()).get("x-http-status", "")
    return answer, {check.name: check for check in answer.checks}, str(told)


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    server = await MailServer().start()
    yield server
    await server.stop()


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the mail server said is not remembered."""
    monkeypatch.setattr(health, "CHECKS", [replace(check, remembered_seconds=-1) for check in health.CHECKS])


@pytest.fixture
async def with_mail(settings: Settings, store: Store, mail_server: MailServer) -> AsyncIterator[Running]:
    """With a mail server and a scheduler."""
    await Presence(store, SCHEDULERS).report(WorkerReport(id="scheduler"))
    async with serving(settings, smtp_host="127.0.0.1", smtp_port=mail_server.port) as started:
        yield started


async def test_with_everything_there_all_is_healthy(with_mail: Running) -> None:
    answer, checks, told = await checked(with_mail)
    assert (answer.status, answer.reason, told) == ("healthy", "", "")
    assert {name: check.status for name, check in checks.items()} == {
        "store": "healthy",
        "workers": "healthy",
        "scheduler": "healthy",
        "database": "disabled",
        "smtp": "healthy",
        "storage": "healthy",
    }
    assert checks["store"].latency_ms > 0
    mail, _, told = await checked(with_mail, "CheckEmailHealth")
    assert (mail.status, mail.reason, told) == ("healthy", "", "")


async def test_without_a_mail_server_mail_is_unhealthy_and_the_rest_runs(
    forgetful: None, with_mail: Running, mail_server: MailServer
) -> None:
    await mail_server.stop()
    answer, checks, told = await checked(with_mail)
    assert (answer.status, checks["smtp"].status, told) == ("degraded", "degraded", "")
    assert "mail server" in answer.reason
    mail, _, told = await checked(with_mail, "CheckEmailHealth")
    assert (mail.status, told) == ("unhealthy", "503")
    assert "127.0.0.1" in mail.reason
    assert await with_mail.app.enqueue(Noop())
    await mail_server.start()
    mail, _, told = await checked(with_mail, "CheckEmailHealth")
    assert (mail.status, told) == ("healthy", "")


async def test_what_the_mail_server_said_is_remembered_for_a_while(with_mail: Running, mail_server: MailServer) -> None:
    await checked(with_mail, "CheckEmailHealth")
    await mail_server.stop()
    for method in ("CheckEmailHealth", "CheckHealth"):
        assert (await checked(with_mail, method))[1]["smtp"].status == "healthy"


async def test_a_mail_server_that_says_nothing_does_not_hold_up_the_rest(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECKS", [replace(check, patience_seconds=0.2) for check in health.CHECKS])

    async def silence(reader: Any, _writer: Any) -> None:
        await reader.read()

    async with (
        raw_server(silence) as port,
        serving(settings, smtp_host="127.0.0.1", smtp_port=port, smtp_timeout_seconds=1) as service,
    ):
        began = time.monotonic()
        answer, checks, _ = await checked(service)
        assert time.monotonic() - began < 1
        assert (answer.status, checks["smtp"].status) == ("degraded", "degraded")
        mail, _, told = await checked(service, "CheckEmailHealth")
        assert (mail.status, told) == ("unhealthy", "503")


async def test_no_mail_server_is_configured_is_said(settings: Settings) -> None:
    async with serving(settings) as service:
        mail, _, _ = await checked(service, "CheckEmailHealth")
    assert mail.status == "unhealthy"
    assert "SMTP_HOST" in mail.reason


async def test_switched_off_mail_is_said_to_be_and_is_no_fault(settings: Settings, store: Store) -> None:
    await Presence(store, SCHEDULERS).report(WorkerReport(id="scheduler"))
    async with serving(settings, enable_email_service=False) as service:
        answer, checks, _ = await checked(service)
        assert (answer.status, checks["smtp"].status) == ("healthy", "disabled")
        mail, _, told = await checked(service, "CheckEmailHealth")
        assert (mail.status, told) == ("disabled", "")
        assert "ENABLE_EMAIL_SERVICE" in mail.reason
