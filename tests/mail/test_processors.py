"""The six job types of the email family, each against a real mail server."""

import os
import re
import time
from datetime import UTC, datetime

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1 import email_pb2 as mail

from engine.links import DownloadLinks
from engine.store import Store
from families.email import handlers as email
from families.email.composer import Composer
from families.email.failures import MailDelayedError, MailInvalidError, MailRefusedError, MailServerAwayError
from families.email.sender import MailSender
from tests.mail.mailserver import MailServer
from tests.mail.recording import RecordingJob
from workers.handlers import load_handlers
from workers.outcomes import FailForGood


def in_an_hour() -> Timestamp:
    return Timestamp(seconds=int(time.time()) + 3600)


def test_every_type_of_the_family_has_a_handler() -> None:
    handlers = load_handlers(())
    for payload in ("Send", "Batch", "Welcome", "SubmissionNotification", "PasswordReset", "ExportNotification"):
        assert f"qcollector.jobs.v1.Email{payload}" in handlers


async def test_send_delivers_and_answers_what_is_documented(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = mail.EmailSend(
        to=["Anna <anna@example.com>", "bert@example.com"],
        cc=["carl@example.com"],
        bcc=["dora@example.com"],
        subject="Grüße",
        text="Hallo",
        html="<p>Hallo</p>",
        reply_to="Team <team@example.com>",
        headers={"X-Campaign": "autumn"},
        list_unsubscribe=["https://example.com/u?x=1", "mailto:u@example.com"],
    )
    result = await email.send(payload, job, sender, writer)
    [taken] = server.taken
    message = taken.message
    assert taken.sender == "forms@example.com"
    assert taken.recipients == ["anna@example.com", "bert@example.com", "carl@example.com", "dora@example.com"]
    assert message["From"] == "Q-Collector <forms@example.com>"
    assert message["To"] == "Anna <anna@example.com>, bert@example.com"
    assert message["Cc"] == "carl@example.com"
    assert "dora" not in taken.content.decode()
    assert message["Subject"] == "Grüße"
    assert message["Reply-To"] == "Team <team@example.com>"
    assert message["X-Campaign"] == "autumn"
    assert message["List-Unsubscribe"] == "<https://example.com/u?x=1>, <mailto:u@example.com>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    assert abs(message["Date"].datetime.timestamp() - time.time()) < 60
    assert result.success
    assert result.message_id == message["Message-ID"]
    assert result.recipient == "anna@example.com, bert@example.com, carl@example.com, dora@example.com"
    assert result.response == "250 2.0.0 queued as 1"
    assert not result.rejected
    assert 0 < result.processing_time_ms < 5000
    assert job.percents == [10, 30, 80]


async def test_a_template_gives_the_bodies_and_an_empty_subject(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = mail.EmailSend(to=["a@example.com"], template="form-submission")
    ParseDict({"formTitle": "Audit {{ 7 * 7 }}", "submissionId": 17, "submittedBy": "<b>Eve</b>"}, payload.data)
    await email.send(payload, job, sender, writer)
    payload.subject = "My own {{ 7 * 7 }}"
    await email.send(payload, job, sender, writer)
    assert server.subjects == ["New Form Submission: Audit {{ 7 * 7 }}", "My own {{ 7 * 7 }}"]
    html = server.taken[0].html
    text = server.taken[0].text
    assert "&lt;b&gt;Eve&lt;/b&gt;" in html
    assert "Submission:   17\n" in text


async def test_html_without_text_gets_one_with_its_links(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    html = '<h1>Hello</h1><p>See <a href="https://example.com/a">the page</a> and <a href="javascript:x">this</a>.</p>'
    await email.send(mail.EmailSend(to=["a@example.com"], subject="s", html=html), job, sender, writer)
    assert "[the page](https://example.com/a)" in server.taken[0].text
    assert "javascript" not in server.taken[0].html


async def test_attachments_come_from_the_roots_or_inline(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    file = job.settings.root("export") / "Übersicht 2026.csv"
    file.write_bytes(b"a;b\r\n" * 1000)
    payload = mail.EmailSend(to=["a@example.com"], subject="s", html='<img src="cid:logo">')
    payload.attachments.add(path=str(file))
    payload.attachments.add(path="exports/" + file.name, filename="other.bin", content_type="application/x-thing")
    payload.attachments.add(content=b"\x89PNG", filename="logo.png", cid="logo")
    await email.send(payload, job, sender, writer)
    message = server.taken[0].message
    assert message.get_content_type() == "multipart/mixed"
    first, second = message.iter_attachments()
    assert (first.get_filename(), first.get_content_type()) == ("Übersicht 2026.csv", "text/csv")
    assert first.get_payload(decode=True) == b"a;b\r\n" * 1000
    assert (second.get_filename(), second.get_content_type()) == ("other.bin", "application/x-thing")
    [related] = [part for part in message.walk() if part.get_content_type() == "multipart/related"]
    html, picture = related.iter_parts()
    assert html.get_content_type() == "text/html"
    assert picture["Content-ID"] == "<logo>"
    assert picture.get_content_disposition() == "inline"


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "exports/missing.csv", "exports", "exports/link", "exports/pipe", "a\0b"],
)
async def test_a_file_outside_the_roots_or_missing_fails_for_good_without_its_place(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer, path: str
) -> None:
    (job.settings.root("export") / "link").symlink_to("/etc/passwd")
    os.mkfifo(job.settings.root("export") / "pipe")
    payload = mail.EmailSend(to=["a@example.com"], subject="s", text="t")
    payload.attachments.add(path=path)
    with pytest.raises(MailInvalidError) as failed:
        await email.send(payload, job, sender, writer)
    assert str(job.settings.data_dir) not in failed.value.reason
    assert repr(path.rpartition("/")[2]) in failed.value.reason
    assert not server.taken


async def test_attachments_that_are_too_large_together_fail_for_good(
    job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    with (job.settings.root("export") / "huge.bin").open("wb") as file:
        file.truncate(20_000_000)
    payload = mail.EmailSend(to=["a@example.com"], subject="s", text="t")
    payload.attachments.add(path="exports/huge.bin")
    payload.attachments.add(path="exports/huge.bin")
    with pytest.raises(FailForGood, match="larger than 25,000,000 bytes"):
        await email.send(payload, job, sender, writer)


async def test_a_refused_recipient_shows_while_the_others_get_it(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    server.recipient_answers["gone@example.com"] = ["550 5.1.1 no such user"]
    payload = mail.EmailSend(to=["a@example.com", "gone@example.com"], subject="s", text="t")
    result = await email.send(payload, job, sender, writer)
    assert result.recipient == "a@example.com"
    assert list(result.rejected) == ["gone@example.com: 550 5.1.1 no such user"]


async def test_a_delayed_recipient_is_tried_again_alone(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    server.recipient_answers["grey@example.com"] = ["451 4.7.1 greylisted"]
    payload = mail.EmailSend(to=["a@example.com", "grey@example.com"], subject="s", text="t")
    with pytest.raises(MailDelayedError, match="greylisted"):
        await email.send(payload, job, sender, writer)
    result = await email.send(payload, job.restarted(attempt=2), sender, writer)
    assert [taken.recipients for taken in server.taken] == [["a@example.com"], ["grey@example.com"]]
    assert result.recipient == "a@example.com, grey@example.com"
    assert server.taken[0].message["Message-ID"] == server.taken[1].message["Message-ID"]


async def test_a_recipient_delayed_to_the_last_attempt_is_reported(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    server.recipient_answers["grey@example.com"] = ["451 4.7.1 greylisted…"]
    payload = mail.EmailSend(to=["a@example.com", "grey@example.com"], subject="s", text="t")
    job.attempt = 3
    result = await email.send(payload, job, sender, writer)
    assert result.recipient == "a@example.com"
    assert list(result.rejected) == ["grey@example.com: 451 4.7.1 greylisted"]


async def test_nobody_left_to_take_it_fails_for_good(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    server.recipient_answers["gone@example.com"] = ["550 no such user"]
    with pytest.raises(MailRefusedError, match=r"every recipient: gone@example.com \(550 no such user\)"):
        await email.send(mail.EmailSend(to=["gone@example.com"], subject="s", text="t"), job, sender, writer)


async def test_without_a_mail_server_the_job_tries_again(
    job: RecordingJob, sender: MailSender, writer: Composer, server: MailServer
) -> None:
    await server.stop()
    with pytest.raises(MailServerAwayError, match="refused the connection: check SMTP_HOST") as failed:
        await email.send(mail.EmailSend(to=["a@example.com"], subject="s", text="t"), job, sender, writer)
    assert not isinstance(failed.value, FailForGood)


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ({"first_name": "Anna", "username": "anna7"}, "Anna"),
        ({"username": "anna7"}, "anna7"),
        ({}, "anna@example.com"),
    ],
)
async def test_welcome_greets_by_the_best_name_there_is(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer, user: dict[str, str], name: str
) -> None:
    payload = mail.EmailWelcome(user=mail.EmailUser(email="anna@example.com", **user))
    result = await email.welcome(payload, job, sender, writer)
    message = server.taken[0].message
    assert message["Subject"] == "Welcome to Q-Collector"
    assert f"Welcome, {name}!" in server.taken[0].text
    assert f"Welcome, {name}!" in server.taken[0].html
    assert result.success
    assert result.message_id == message["Message-ID"]
    assert result.response == "250 2.0.0 queued as 1"
    assert job.percents == [20, 50]


async def test_submission_notification_tells_every_recipient(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = mail.EmailSubmissionNotification(
        submission=mail.EmailSubmission(id="s-1"), form=mail.EmailForm(title="Audit")
    )
    for number in range(7):
        payload.recipients.add(email=f"r{number}@example.com")
    payload.recipients.add(email="not an address")
    began = time.monotonic()
    result = await email.submission_notification(payload, job, sender, writer)
    assert time.monotonic() - began > 0.5  # two groups of at most five, half a second apart
    assert (result.total, result.successful, result.failed, result.skipped) == (8, 7, 1, False)
    assert result.results[7].recipient == "not an address"
    assert "is not an address" in result.results[7].error
    assert set(server.subjects) == {"New Form Submission: Audit"}
    text = server.taken[0].text
    assert re.search(r"Version: +1\.0\n", text)
    assert "Anonymous" in text
    assert str(datetime.now(UTC).year) in text
    assert job.percents[:2] == [10, 30]
    assert job.percents[-1] == 99


async def test_submission_notification_without_recipients_is_skipped(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = mail.EmailSubmissionNotification(
        submission=mail.EmailSubmission(id="s-1"), form=mail.EmailForm(title="Audit")
    )
    result = await email.submission_notification(payload, job, sender, writer)
    assert (result.skipped, result.reason, result.total) == (True, "No recipients", 0)
    assert server.connections == 0


async def test_password_reset_links_to_the_page_with_the_token(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = mail.EmailPasswordReset(
        user=mail.EmailUser(email="a@example.com", first_name="Anna"), reset_token="a+b/c=&d", expire_time=in_an_hour()
    )
    await email.password_reset(payload, job, sender, writer)
    message = server.taken[0].message
    assert message["Subject"] == "Password Reset Request"
    link = "https://forms.example.com/reset-password?token=a%2Bb/c%3D%26d"
    assert f'href="{link}"' in server.taken[0].html
    text = server.taken[0].text
    assert f"\n{link}\n" in text
    assert re.search(r"until \d+ \w+ \d{4}, \d\d:\d\d UTC", text)


async def test_password_reset_is_not_sent_after_its_token_has_expired(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = mail.EmailPasswordReset(
        user=mail.EmailUser(email="a@example.com"),
        reset_token="secret-token",
        expire_time=Timestamp(seconds=int(time.time()) - 1),
    )
    with pytest.raises(FailForGood, match="the token expired") as failed:
        await email.password_reset(payload, job, sender, writer)
    assert "secret-token" not in str(failed.value)
    assert server.connections == 0


async def test_export_notification_shows_the_file_and_where_to_get_it(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer, store: Store
) -> None:
    links = DownloadLinks(store)
    info = mail.EmailExportInfo(
        type="Form submissions",
        format="csv",
        records_count=12480,
        file_size="2415919",
        generate_time=Timestamp(seconds=1795512600),
        download_url="https://forms.example.com/x.csv?a=1&b=2",
    )
    payload = mail.EmailExportNotification(user=mail.EmailUser(email="a@example.com"), export_info=info)
    await email.export_notification(payload, job, sender, writer, links)
    payload.export_info.download_url = ""
    await email.export_notification(payload, job, sender, writer, links)
    with_link, without = [taken.html for taken in server.taken]
    assert server.subjects == ["Data Export Ready"] * 2
    assert 'href="https://forms.example.com/x.csv?a=1&amp;b=2"' in with_link
    for shown in ("Form submissions", "CSV", "12,480", "2.3 MB", "24 November 2026, 09:30 UTC"):
        assert shown in with_link
    assert "Download" not in without


async def test_a_notification_that_reaches_nobody_fails_and_names_the_addresses(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    recipients = [mail.EmailRecipient(email=address) for address in ("a@b@c", "two words@example.com")]
    payload = mail.EmailSubmissionNotification(
        submission=mail.EmailSubmission(id="1"), form=mail.EmailForm(id="2", title="F"), recipients=recipients
    )
    with pytest.raises(MailRefusedError, match=r"nobody could be told: a@b@c \(.*two words@example.com"):
        await email.submission_notification(payload, job, sender, writer)
    assert server.connections == 0


async def test_no_mail_links_to_a_file_that_was_removed(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer, store: Store
) -> None:
    file = mail.EmailExportFile(
        job={"queue_name": "export:data", "job_id": "j"},
        sha256="ab" * 32,
        expire_time=Timestamp(seconds=int(time.time()) - 1),
    )
    payload = mail.EmailExportNotification(
        user=mail.EmailUser(email="a@example.com"), export_info=mail.EmailExportInfo(type="Form", file=file)
    )
    with pytest.raises(FailForGood, match="the file was removed"):
        await email.export_notification(payload, job, sender, writer, DownloadLinks(store))
    assert server.connections == 0


HOSTILE = "x@example.com\r\nBcc: evil@example.com"


@pytest.mark.parametrize(
    "fields",
    [
        {"to": [HOSTILE]},
        {"to": [f"Evil {HOSTILE} <a@example.com>"]},
        {"cc": [HOSTILE]},
        {"bcc": [HOSTILE]},
        {"from": HOSTILE},
        {"replyTo": HOSTILE},
        {"subject": HOSTILE},
        {"headers": {"X-A": HOSTILE}},
        {"headers": {f"X-A: {HOSTILE}": "x"}},
        {"headers": {"Bcc": "evil@example.com"}},
        {"listUnsubscribe": [f"https://example.com/{HOSTILE}"]},
        {"attachments": [{"content": "eA==", "filename": HOSTILE}]},
        {"attachments": [{"content": "eA==", "contentType": f"text/plain\r\n{HOSTILE}"}]},
        {"html": "x", "attachments": [{"content": "eA==", "cid": HOSTILE}]},
        {"text": "x" * 10_000_000},
        {"html": "<a href=x>" * 1_000_000},
        {"subject": "x" * 10_000_000},
        {"subject": "\u200b\u202e\u00ad "},
        {"template": "../../../etc/passwd"},
        {"template": "_layout"},
    ],
    ids=lambda fields: next(iter(reversed(fields))),
)
async def test_what_validation_would_refuse_is_refused_again_when_the_mail_is_made(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer, fields: dict[str, object]
) -> None:
    payload = ParseDict({"to": ["a@example.com"], "subject": "s", "text": "t", **fields}, mail.EmailSend())
    began = time.monotonic()
    with pytest.raises(MailInvalidError) as failed:
        await email.send(payload, job, sender, writer)
    assert time.monotonic() - began < 5
    assert len(failed.value.reason) < 500
    assert "\r" not in failed.value.reason
    assert server.connections == 0


async def test_values_of_a_template_cannot_begin_a_header_or_be_a_template(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    form = mail.EmailForm(title="x\r\nBcc: evil@example.com {{ ''.__class__ }}")
    payload = mail.EmailSubmissionNotification(submission=mail.EmailSubmission(id="1"), form=form)
    payload.recipients.add(email="a@example.com")
    await email.submission_notification(payload, job, sender, writer)
    [taken] = server.taken
    assert taken.recipients == ["a@example.com"]
    assert "Bcc" not in taken.message
    assert taken.message["Subject"] == "New Form Submission: x Bcc: evil@example.com {{ ''.__class__ }}"
