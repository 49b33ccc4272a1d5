"""Batches: a bad mail fails alone, and a batch that was broken off goes on where it was."""

import asyncio
import random
import string
import time
from collections import Counter
from collections.abc import Callable

import pytest
from qcollector.jobs.v1 import email_pb2 as mail

from families.email import batch as batches
from families.email import handlers as email
from families.email.composer import Composer, draft_of
from families.email.failures import MailServerAwayError
from families.email.ledger import MAX_TEXT, Entry, Ledger
from families.email.sender import MailSender
from tests.conftest import eventually
from tests.mail.mailserver import MailServer
from tests.mail.recording import RecordingJob
from workers.outcomes import FailForGood, Snooze

MAX_CHECKPOINT = 1_000_000


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "RETRY_PAUSES", (0.05, 0.1))


def batch_of(count: int, size: int = 10, delay: int = 0) -> mail.EmailBatch:
    payload = mail.EmailBatch(options=mail.EmailBatchOptions(batch_size=size, delay=delay))
    for number in range(count):
        payload.emails.add(to=[f"r{number}@example.com"], subject=f"mail {number}", text="t")
    return payload


async def test_a_bad_mail_fails_alone_and_shows_in_the_result(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = batch_of(9, size=4)
    payload.emails[1].to[0] = "nobody"
    payload.emails[2].ClearField("text")
    payload.emails[3].template = "no-such-template"
    payload.emails[4].attachments.add(path="/etc/passwd")
    payload.emails[5].headers["Content-Type"] = "text/evil"
    payload.emails[6].subject = "x\r\nBcc: evil@example.com"
    server.recipient_answers["r7@example.com"] = ["550 no such user"]
    result = await email.batch(payload, job, sender, writer)
    assert (result.total, result.successful, result.failed) == (9, 2, 7)
    errors = {place: item.error for place, item in enumerate(result.results) if not item.success}
    assert set(errors) == {1, 2, 3, 4, 5, 6, 7}
    for place, words in {
        1: "emails[1].to[0]",
        2: "set template, text or html",
        3: "there is no template 'no-such-template'",
        4: "outside the storage roots",
        5: "Content-Type cannot be set",
        6: "emails[6].subject",
        7: "550 no such user",
    }.items():
        assert words in errors[place]
    assert [item.recipient for item in result.results] == ["r0@example.com", "nobody"] + [
        f"r{number}@example.com" for number in range(2, 9)
    ]
    assert [taken.recipients for taken in server.taken] == [["r0@example.com"], ["r8@example.com"]]
    first = result.results[0].result
    assert first.success
    assert first.message_id == server.taken[0].message["Message-ID"]
    assert first.response == "250 2.0.0 queued as 1"
    assert not result.results[1].HasField("result")


async def test_progress_tells_how_many_are_sent(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    server.recipient_answers["r7@example.com"] = ["550 no"]
    await email.batch(batch_of(8, size=2), job, sender, writer)
    assert job.percents == [5, 30, 50, 70, 90, 95]
    assert [message for _, message in job.steps][1:5] == [
        *("sent 2 of 8", "sent 4 of 8", "sent 6 of 8", "sent 7 of 8, 1 failed"),
    ]


async def test_groups_go_out_together_and_rest_in_between(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    server.seconds_for_data = 0.1
    began = time.monotonic()
    result = await email.batch(batch_of(6, size=3, delay=300), job, sender, writer)
    spent = time.monotonic() - began
    assert server.most_open == 3
    assert 0.5 <= spent < 1.5
    assert spent * 1000 - 200 < result.processing_time_ms <= spent * 1000


async def test_without_options_ten_at_a_time_a_second_apart(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = batch_of(11)
    payload.ClearField("options")
    began = time.monotonic()
    await email.batch(payload, job, sender, writer)
    assert 1 <= time.monotonic() - began < 5
    assert len(job.checkpoints) == 2
    assert len(server.taken) == 11


async def test_ids_differ_within_a_batch_even_for_one_recipient(
    job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = batch_of(3)
    for item in payload.emails:
        item.to[0] = "same@example.com"
    result = await email.batch(payload, job, sender, writer)
    assert len({item.result.message_id for item in result.results}) == 3


async def test_a_batch_that_was_killed_goes_on_where_it_was(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    server.recipient_answers["r1@example.com"] = ["550 no such user…"]
    payload = batch_of(20, size=4, delay=30)
    running = asyncio.create_task(email.batch(payload, job, sender, writer))
    await eventually(lambda: len(server.taken) >= 9, every=0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    again = job.restarted()
    result = await email.batch(payload, again, sender, writer)
    assert (result.total, result.successful, result.failed) == (20, 19, 1)
    assert "550 no such user" in result.results[1].error
    assert result.results[0].result.message_id
    assert again.lines[0].startswith("goes on with ")
    subjects = Counter(server.subjects)
    assert set(subjects) == {f"mail {number}" for number in range(20) if number != 1}
    repeated = [subject for subject, count in subjects.items() if count > 1]
    assert len(repeated) <= 4
    for subject in repeated:
        same = [taken.message["Message-ID"] for taken in server.taken if taken.message["Subject"] == subject]
        assert len(set(same)) == 1


async def test_the_time_of_earlier_starts_counts(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = batch_of(2, size=1, delay=0)
    await email.batch(payload, job, sender, writer)
    earlier = Ledger.unpack(job.checkpoints[0])
    assert len(earlier.entries) == 1
    earlier._earlier += 60_000
    again = job.restarted()
    again.checkpoint_data = earlier.pack()
    result = await email.batch(payload, again, sender, writer)
    assert result.processing_time_ms > 60_000
    assert len(server.taken) == 3


async def test_a_mail_that_is_not_taken_now_is_tried_again_within_the_batch(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    server.recipient_answers["r0@example.com"] = ["451 later", "451 later"]
    server.recipient_answers["r1@example.com"] = ["451 never…"]
    result = await email.batch(batch_of(3), job, sender, writer)
    assert [item.success for item in result.results] == [True, False, True]
    assert "451 never" in result.results[1].error


async def test_a_connection_lost_on_the_way_is_made_up_for(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    server.drops_at_data = 2
    result = await email.batch(batch_of(6, size=3), job, sender, writer)
    assert result.successful == 6


async def test_some_recipients_of_a_mail_that_are_never_taken_show_with_it(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = batch_of(1)
    payload.emails[0].to.extend(["gone@example.com", "grey@example.com"])
    server.recipient_answers["gone@example.com"] = ["550 gone"]
    server.recipient_answers["grey@example.com"] = ["451 grey…"]
    result = await email.batch(payload, job, sender, writer)
    assert result.successful == 1
    response = result.results[0].result.response
    assert response.startswith(
        "250 2.0.0 queued as 1; refused: gone@example.com (550 gone); grey@example.com (451 grey)"
    )
    assert len(server.taken) == 1


async def test_a_server_that_is_away_fails_the_attempt(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    await server.stop()
    with pytest.raises(MailServerAwayError) as failed:
        await email.batch(batch_of(3), job, sender, writer)
    assert not isinstance(failed.value, FailForGood)


async def test_a_server_that_goes_away_on_the_way_costs_no_attempt_and_no_mail(
    server: MailServer, job: RecordingJob, sender: MailSender, writer: Composer
) -> None:
    payload = batch_of(12, size=3, delay=20)
    running = asyncio.create_task(email.batch(payload, job, sender, writer))
    await eventually(lambda: len(server.taken) >= 4, every=0.001)
    await server.stop()
    with pytest.raises(Snooze) as snoozed:
        await running
    assert "refused the connection" in snoozed.value.reason
    await server.start()
    result = await email.batch(payload, job.restarted(), sender, writer)
    assert result.successful == 12
    assert len(set(server.subjects)) == 12
    assert len(server.taken) <= 15


async def test_a_used_up_rate_lets_the_batch_rest_without_an_attempt(
    server: MailServer, job: RecordingJob, new_sender: Callable[..., MailSender], writer: Composer
) -> None:
    payload = batch_of(3, size=2)
    with pytest.raises(Snooze) as snoozed:
        await email.batch(payload, job, new_sender(per_minute=2), writer)
    assert 25 < snoozed.value.seconds <= 30
    assert len(server.taken) == 1
    result = await email.batch(payload, job.restarted(), new_sender(), writer)
    assert result.successful == 3
    assert len(server.taken) == 3


async def test_a_fault_of_our_own_takes_no_other_mail_with_it(
    job: RecordingJob, sender: MailSender, writer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = batch_of(3)

    def faulty(message: mail.EmailSend) -> object:
        if message.subject == "mail 1":
            raise ZeroDivisionError("a bug")
        return draft_of(message)

    monkeypatch.setattr("families.email.handlers.draft_of", faulty)
    result = await email.batch(payload, job, sender, writer)
    assert [item.success for item in result.results] == [True, False, True]
    assert result.results[1].error == "the handler failed unexpectedly (a bug); the worker's log has the traceback"


def test_the_longest_batch_fits_its_checkpoint_whatever_the_server_says() -> None:
    chance = random.Random(1)
    ledger = Ledger()
    packed = b""
    for place in range(10_000):
        text = "".join(chance.choices(string.printable, k=MAX_TEXT + 100))
        ledger.record(place, sent=place % 3 > 0, text=text)
        if place % 100 == 99:
            packed = ledger.pack()
    assert len(packed) < MAX_CHECKPOINT
    again = Ledger.unpack(packed)
    assert len(again.entries) == 10_000
    for place in (0, 1, 9_999):
        assert again.entries[place].sent == (place % 3 > 0)
    assert len(Ledger.unpack(again.pack()).entries) == 10_000


def test_a_checkpoint_grows_by_what_is_new_and_is_read_back_as_it_was() -> None:
    ledger = Ledger.unpack(b"")
    ledger.record(1, sent=True, text="250 ok \n ü")
    first = ledger.pack()
    ledger.record(0, sent=False, text="x" * 1000)
    second = ledger.pack()
    assert second.startswith(first)
    again = Ledger.unpack(second).entries
    assert again == {1: Entry(sent=True, text="250 ok \n ü"), 0: Entry(sent=False, text="x" * MAX_TEXT)}
