"""The health of mail: a real conversation, bounded in time, whose reason holds no secret."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from base.settings import Settings
from families.email import smtp
from families.email.smtp import Check, check
from tests.conftest import free_port
from tests.mail.conftest import Certificates
from tests.mail.mailserver import MailServer, raw_server


async def test_a_good_server_is_spoken_with_to_the_end(mail_settings: Settings, server: MailServer) -> None:
    result = await check(mail_settings)
    assert result == Check(ok=True, reason="", latency_ms=result.latency_ms)
    assert 0 < result.latency_ms < 5000
    assert server.commands == ["NOOP", "QUIT"]
    assert not server.taken


async def test_the_conversation_has_tls_and_login(
    mail_settings: Settings, server: MailServer, certificates: Certificates
) -> None:
    server.options, server.accounts = {"tls_context": certificates.server}, {"user": "password"}
    login = {"smtp_user": "user", "smtp_tls_ca": certificates.authority}
    good = mail_settings.model_copy(update={**login, "smtp_password": SecretStr("password")})
    assert (await check(good)).ok
    assert server.logins == ["user"]
    bad = mail_settings.model_copy(update={**login, "smtp_password": SecretStr("pass-phrase-1")})
    result = await check(bad)
    assert not result.ok
    assert "refused the login: check SMTP_USER and SMTP_PASSWORD" in result.reason
    assert "pass-phrase-1" not in result.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"smtp_host": None}, "no mail server is configured: set SMTP_HOST"),
        ({"smtp_port": free_port()}, "refused the connection"),
        ({"smtp_secure": True}, "failed the TLS handshake"),
        ({"smtp_starttls": "required"}, "offers no STARTTLS"),
        ({"smtp_tls_ca": "/no/such/file"}, "SMTP_TLS_CA=/no/such/file cannot be used: No such file"),
    ],
)
async def test_a_bad_configuration_says_what_to_look_at(
    mail_settings: Settings, changes: dict[str, Any], reason: str
) -> None:
    result = await check(mail_settings.model_copy(update=changes))
    assert not result.ok
    assert reason in result.reason


async def test_a_server_that_repeats_the_credentials_does_not_get_them_into_the_reason(
    mail_settings: Settings, certificates: Certificates
) -> None:
    async def parrot(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            writer.write(b"250-me\r\n250 AUTH PLAIN LOGIN\r\n" if line.startswith(b"EHLO") else b"535 " + line)

    async with raw_server(parrot, certificates.server) as port:
        result = await check(
            mail_settings.model_copy(
                update={
                    "smtp_port": port,
                    "smtp_secure": True,
                    "smtp_tls_ca": certificates.authority,
                    "smtp_user": "user",
                    "smtp_password": SecretStr("pass-phrase-1"),
                }
            )
        )
    assert "535 AUTH" in result.reason
    assert "AHVzZXIAcGFzcy1waHJhc2UtMQ" not in result.reason
    assert "dXNlcgBwYXNzLXBocmFzZS0x" not in result.reason


async def test_it_ends_in_time_whatever_the_server_does(
    mail_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "CHECK_SECONDS", 0.2)

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(20):
            writer.write(b"220-wait\r\n")
            await asyncio.sleep(0.05)

    async with raw_server(drip) as port:
        result = await asyncio.wait_for(check(mail_settings.model_copy(update={"smtp_port": port})), 2)
    assert not result.ok
    assert "did not answer within 0.2 s" in result.reason
