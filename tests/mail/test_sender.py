"""The pooled sender: connections are reused and renewed, and what goes wrong is told apart."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from families.email import connections
from families.email.failures import MailDelayedError, MailRefusedError, MailServerAwayError
from families.email.sender import MailSender, Outgoing
from tests.conftest import eventually, free_port
from tests.mail.conftest import Certificates
from tests.mail.mailserver import MailServer, raw_server
from workers.outcomes import FailForGood, Snooze

NewSender = Callable[..., MailSender]
_numbers = itertools.count(1)


def mail(*recipients: str, body: str = "Hello") -> Outgoing:
    number = next(_numbers)
    content = f"Subject: {number}\r\n\r\n{body}\r\n".encode()
    return Outgoing(f"<{number}@example.com>", "a@example.com", recipients or ("b@example.com",), content)


async def test_one_connection_carries_mail_after_mail(server: MailServer, sender: MailSender) -> None:
    for _ in range(20):
        delivery = await sender.send(mail())
        assert delivery.accepted == ("b@example.com",)
    assert server.connections == 1
    assert len(server.taken) == 20


async def test_no_more_connections_than_configured(server: MailServer, new_sender: NewSender) -> None:
    server.seconds_for_data = 0.02
    sender = new_sender(smtp_max_connections=3)
    await asyncio.gather(*(sender.send(mail()) for _ in range(12)))
    assert server.most_open == 3
    assert server.connections == 3


async def test_a_connection_is_renewed_after_so_many_mails(server: MailServer, new_sender: NewSender) -> None:
    sender = new_sender(smtp_max_messages=4, smtp_max_connections=1)
    for _ in range(10):
        await sender.send(mail())
    assert [taken.connection for taken in server.taken] == [1] * 4 + [2] * 4 + [3] * 2
    await eventually(lambda: server.commands.count("QUIT") == 2)


async def test_an_idle_connection_is_closed_politely(
    server: MailServer, sender: MailSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    await sender.send(mail())
    await eventually(lambda: server.open == 0)
    assert server.commands == ["QUIT"]
    await sender.send(mail())
    assert server.connections == 2


async def test_closing_the_sender_takes_leave(server: MailServer, sender: MailSender) -> None:
    await sender.send(mail())
    await sender.aclose()
    assert server.commands == ["QUIT"]
    await eventually(lambda: server.open == 0)


async def test_a_connection_that_the_server_closed_is_replaced_unseen(server: MailServer, sender: MailSender) -> None:
    await sender.send(mail())
    server.hang_up()
    await sender.send(mail())
    assert [taken.connection for taken in server.taken] == [1, 2]


async def test_a_worn_out_connection_is_replaced_unseen(server: MailServer, sender: MailSender) -> None:
    await sender.send(mail())
    server.mail_answers.append("421 too many mails on this connection")
    await sender.send(mail())
    assert [taken.connection for taken in server.taken] == [1, 2]


async def test_a_server_that_closes_every_connection_counts_as_away(server: MailServer, sender: MailSender) -> None:
    server.mail_answers += ["421 busy"] * 2
    with pytest.raises(MailServerAwayError, match="421 busy"):
        await sender.send(mail())
    assert server.connections == 1


@pytest.mark.parametrize("drop", ["drops_at_data", "drops_after_data"])
async def test_a_connection_cut_while_the_mail_goes_over_is_left_to_the_job(
    server: MailServer, sender: MailSender, drop: str
) -> None:
    await sender.send(mail())
    setattr(server, drop, 1)
    with pytest.raises(MailDelayedError, match="closed the connection while it took the mail") as failed:
        await sender.send(mail())
    assert not isinstance(failed.value, MailServerAwayError | FailForGood)
    await sender.send(mail())
    assert server.connections == 2


async def test_4xx_is_for_later_and_5xx_for_good_and_the_connection_goes_on(
    server: MailServer, sender: MailSender
) -> None:
    server.data_answers = ["451 4.3.0 try later", "554 5.6.0 rejected as spam"]
    with pytest.raises(MailDelayedError, match=r"does not take the mail now: 451 4\.3\.0 try later"):
        await sender.send(mail())
    with pytest.raises(MailRefusedError, match=r"refused the mail: 554 5\.6\.0 rejected as spam"):
        await sender.send(mail())
    server.mail_answers = ["450 slow down", "553 sender not allowed"]
    with pytest.raises(MailDelayedError, match=r"does not take the sender .* now: 450 slow down"):
        await sender.send(mail())
    with pytest.raises(MailRefusedError, match=r"refused the sender .*: 553 sender not allowed"):
        await sender.send(mail())
    await sender.send(mail())
    assert server.connections == 1


async def test_recipients_are_told_apart(server: MailServer, sender: MailSender) -> None:
    server.recipient_answers["gone@example.com"] = ["550 no such user"]
    server.recipient_answers["grey@example.com"] = ["450 later"]
    delivery = await sender.send(mail("gone@example.com", "grey@example.com", "here@example.com"))
    assert delivery.accepted == ("here@example.com",)
    assert delivery.refused == {"gone@example.com": "550 no such user"}
    assert delivery.deferred == {"grey@example.com": "450 later"}
    server.recipient_answers["gone@example.com"] = ["550 no such user"]
    delivery = await sender.send(mail("gone@example.com"))
    assert (delivery.accepted, len(server.taken)) == ((), 1)
    await sender.send(mail())
    assert server.connections == 1


async def test_a_server_that_is_too_slow_is_given_up_and_its_connection_not_used_again(
    server: MailServer, new_sender: NewSender
) -> None:
    sender = new_sender(smtp_timeout_seconds=0.2)
    server.seconds_for_data = 1
    with pytest.raises(MailDelayedError, match="did not answer in time while it took the mail"):
        await sender.send(mail())
    server.seconds_for_data = 0
    await sender.send(mail())
    assert server.connections == 2


async def test_a_cancelled_handover_leaves_no_half_used_connection(server: MailServer, new_sender: NewSender) -> None:
    sender = new_sender(smtp_max_connections=1)
    server.seconds_for_data = 30
    running = asyncio.create_task(sender.send(mail()))
    await eventually(lambda: server.open == 1)
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    server.seconds_for_data = 0
    await asyncio.wait_for(sender.send(mail()), 5)
    assert [taken.connection for taken in server.taken] == [2]


async def test_lines_that_begin_with_a_dot_arrive_as_they_are(server: MailServer, sender: MailSender) -> None:
    await sender.send(mail(body=".\r\n..\r\n.end"))
    assert server.taken[0].content.endswith(b"\r\n\r\n.\r\n..\r\n.end\r\n")


async def test_letters_beyond_ascii_in_a_mailbox_go_by_smtputf8(server: MailServer, sender: MailSender) -> None:
    await sender.send(mail("žofie@example.com"))
    assert server.taken[0].recipients == ["žofie@example.com"]


async def test_or_fail_for_good_where_the_server_has_none(server: MailServer, sender: MailSender) -> None:
    server.options["enable_SMTPUTF8"] = False
    with pytest.raises(MailRefusedError, match="beyond ASCII"):
        await sender.send(mail("žofie@example.com"))
    await sender.send(mail())


async def test_the_rate_holds_over_two_senders(server: MailServer, new_sender: NewSender) -> None:
    one, other = new_sender(per_minute=1200), new_sender(per_minute=1200)
    began = time.monotonic()
    await asyncio.gather(*(sender.send(mail()) for sender in (one, other) for _ in range(6)))
    assert time.monotonic() - began >= 11 * 0.05
    assert len(server.taken) == 12


async def test_a_turn_that_is_far_off_snoozes_the_job(server: MailServer, new_sender: NewSender) -> None:
    sender = new_sender(per_minute=2)
    await sender.send(mail())
    with pytest.raises(Snooze) as snoozed:
        await sender.send(mail())
    assert 25 < snoozed.value.seconds <= 30
    assert len(server.taken) == 1


@pytest.mark.parametrize("mode", ["secure", "starttls"])
async def test_tls_is_used_as_configured_and_verified(
    server: MailServer, new_sender: NewSender, certificates: Certificates, mode: str
) -> None:
    await server.stop()
    server.accounts = {"user": "password"}
    if mode == "secure":
        server.tls = certificates.server
        server.options = {"auth_require_tls": False}
    else:
        server.options = {"tls_context": certificates.server, "require_starttls": True}
    await server.start()
    login = {"smtp_port": server.port, "smtp_user": "user", "smtp_password": SecretStr("password")}
    trusting: dict[str, Any] = {**login, "smtp_secure": mode == "secure", "smtp_tls_ca": certificates.authority}
    await new_sender(**trusting).send(mail())
    assert server.logins == ["user"]
    with pytest.raises(MailServerAwayError, match=r"certificate that does not verify .*check SMTP_HOST and SMTP_TLS"):
        await new_sender(**{**trusting, "smtp_tls_ca": None}).send(mail())
    with pytest.raises(MailServerAwayError, match="certificate that does not verify"):
        await new_sender(**{**trusting, "smtp_host": "localhost"}).send(mail())
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"smtp_user": "user", "smtp_password": SecretStr("pass word")}, "SMTP_USER is set"),
        ({"smtp_starttls": "required"}, "SMTP_STARTTLS=required"),
    ],
)
async def test_nothing_is_sent_in_the_clear_where_tls_is_required(
    server: MailServer, new_sender: NewSender, changes: dict[str, Any], why: str
) -> None:
    server.accounts, server.options = {"user": "pass word"}, {"auth_require_tls": False}
    with pytest.raises(MailServerAwayError, match=f"offers no STARTTLS, .* {why}"):
        await new_sender(**changes).send(mail())
    assert not server.logins
    assert not server.taken


async def test_starttls_is_used_where_offered_without_a_login(
    server: MailServer, new_sender: NewSender, certificates: Certificates
) -> None:
    server.options = {"tls_context": certificates.server, "require_starttls": True}
    await new_sender(smtp_tls_ca=certificates.authority).send(mail())
    with pytest.raises(MailServerAwayError):
        await new_sender(smtp_starttls="never").send(mail())
    assert len(server.taken) == 1


async def test_a_refused_login_is_for_later_and_says_so_without_the_password(
    server: MailServer, new_sender: NewSender, certificates: Certificates
) -> None:
    server.options, server.accounts = {"tls_context": certificates.server}, {"user": "right"}
    sender = new_sender(smtp_user="user", smtp_password=SecretStr("wrong-password"), smtp_tls_ca=certificates.authority)
    with pytest.raises(MailServerAwayError, match="refused the login: check SMTP_USER and SMTP_PASSWORD") as failed:
        await sender.send(mail())
    shown = "".join(map(str, (failed.value, failed.value.__cause__, failed.value.__context__)))
    assert "wrong-password" not in shown
    assert "d3JvbmctcGFzc3dvcmQ" not in shown
    assert not isinstance(failed.value, FailForGood)


async def test_a_server_that_wants_a_login_that_is_not_configured_is_not_the_mails_fault(
    server: MailServer, sender: MailSender
) -> None:
    server.mail_answers = ["530 5.7.0 Authentication required"]
    with pytest.raises(MailServerAwayError, match="check SMTP_USER and SMTP_PASSWORD"):
        await sender.send(mail())


async def test_no_server_no_host_and_no_configuration_are_said_clearly(new_sender: NewSender) -> None:
    for changes, reason in (
        ({"smtp_port": free_port()}, "refused the connection: check SMTP_HOST and SMTP_PORT"),
        ({"smtp_host": "no-such-host.invalid"}, "its name does not resolve"),
        ({"smtp_host": None}, "no mail server is configured: set SMTP_HOST"),
    ):
        with pytest.raises(MailServerAwayError, match=reason):
            await new_sender(**changes).send(mail())


async def test_a_server_that_says_nothing_is_given_up(new_sender: NewSender) -> None:
    async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(silence) as port:
        with pytest.raises(MailServerAwayError, match=f"127.0.0.1:{port} did not answer in time"):
            await new_sender(smtp_port=port, smtp_timeout_seconds=0.2).send(mail())
