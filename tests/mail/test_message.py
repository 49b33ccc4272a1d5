"""The bytes of a mail, read back by the standard library: everything arrives, and nothing more than was meant."""

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.direction_controls import DIRECTION_CONTROLS
from families.email.addresses import Address, AddressError, parse_address, parse_addresses
from families.email.headers import HeaderError
from families.email.message import Attachment, Envelope, Mail, compose

SENDER = Address("", "from@example.com")
TO = (Address("", "to@example.com"),)

texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=300)
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=255).map(str.strip).filter(bool)
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=2000)


def build(**changes: Any) -> bytes:
    envelope = Envelope(changes.pop("sender", SENDER), changes.pop("to", TO), changes.pop("cc", ()))
    parts: dict[str, Any] = {"message_id": "<1@example.com>", "subject": "s", "text": "t", **changes}
    return compose(Mail(envelope=envelope, **parts))


def parsed(**changes: Any) -> EmailMessage:
    return message_from_bytes(build(**changes), policy=policy.default)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def assert_well_formed(data: bytes) -> None:
    """Lines end in CRLF and are short enough, and everything is ASCII."""
    assert data.isascii()
    assert b"\0" not in data
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    assert max(map(len, data.split(b"\r\n"))) <= 998


@settings(deadline=None)
@given(subject=texts, name=texts, value=texts)
def test_any_subject_name_and_header_arrives_as_it_is(subject: str, name: str, value: str) -> None:
    data = build(subject=subject, to=(Address(name, "to@example.com"),), headers={"X-Any": value})
    assert_well_formed(data)
    message = message_from_bytes(data, policy=policy.default)

    def spaced(text: object) -> str:
        return " ".join(str(text).split())

    assert spaced(message["Subject"]) == spaced(subject)
    assert spaced(message["X-Any"]) == spaced(value)
    # The new parser puts a space between the encoded words of a name, which the standard forbids; the old one does not.
    shown, mailbox = parseaddr(re.sub(r"\r?\n", "", message_from_bytes(data)["To"]))
    assert mailbox == "to@example.com"
    assert spaced(make_header(decode_header(shown))) == spaced(name.translate(DIRECTION_CONTROLS))
    assert set(message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "X-Any", "Auto-Submitted"),
        *("Content-Type", "Content-Transfer-Encoding"),
    }


def test_names_never_turn_around_what_stands_after_them() -> None:
    file = Attachment("annexe\u202efdp.exe", b"x", "application/octet-stream")
    message = parsed(to=(Address("\u202eada", "to@example.com"),), attachments=(file,))
    assert str(message["To"]) == "ada <to@example.com>"
    assert [part.get_filename() for part in message.iter_attachments()] == ["annexefdp.exe"]


@settings(deadline=None)
@given(text=lines, html=lines)
def test_any_text_and_html_arrive_as_they_are(text: str, html: str) -> None:
    data = build(text=text, html=html)
    assert_well_formed(data)
    message = message_from_bytes(data, policy=policy.default)
    assert not message.defects
    for kind, sent in (("plain", text), ("html", html)):
        if sent:
            assert body(message, kind).rstrip("\n") == sent.rstrip("\n")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\n", "7bit"),
        ("Grüße aus Köln, und noch mehr Text\n" * 5, "quoted-printable"),
        ("สวัสดีชาวโลก\n" * 5, "base64"),
        ("x" * 5000, "quoted-printable"),
        ("a\0b", "quoted-printable"),
        ("only \r old \r\n and \n mixed\r", "7bit"),
    ],
)
def test_each_text_takes_the_encoding_that_suits_it(text: str, encoding: str) -> None:
    data = build(text=text)
    assert_well_formed(data)
    message = message_from_bytes(data, policy=policy.default)
    assert message["Content-Transfer-Encoding"] == encoding
    assert message.get_content().splitlines() == text.splitlines()


@settings(deadline=None, max_examples=50)
@given(name=names, content=st.binary())
def test_any_file_arrives_under_its_name(name: str, content: bytes) -> None:
    data = build(attachments=(Attachment(name, content, "application/octet-stream"),))
    assert_well_formed(data)
    [file] = message_from_bytes(data, policy=policy.default).iter_attachments()
    assert file.get_filename() == name
    assert file.get_payload(decode=True) == content


def test_the_type_of_a_file_is_guessed_and_never_one_that_cannot_be_encoded() -> None:
    files = (Attachment("a.pdf", b"x"), Attachment("b.unknown-thing", b"x"), Attachment("c.eml", b"Subject: x\n\ny"))
    kinds = [part.get_content_type() for part in parsed(attachments=files).iter_attachments()]
    assert kinds == ["application/pdf", "application/octet-stream", "application/octet-stream"]


def test_parts_are_nested_as_mail_programs_expect() -> None:
    files = (Attachment("logo.png", b"x", cid="logo"), Attachment("report.csv", b"y"))
    message = parsed(html='<img src="cid:logo">', attachments=files)
    assert [part.get_content_type() for part in message.walk()] == [
        *("multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"),
        "text/csv",
    ]
    assert parsed(attachments=files[:1]).get_content_type() == "multipart/mixed"  # no HTML to show it in
    assert parsed(html="<p>x</p>").get_content_type() == "multipart/alternative"
    assert parsed(html="<p>x</p>", text="").get_content_type() == "text/html"


def test_a_body_cannot_end_its_part() -> None:
    first = message_from_bytes(build(html="x"), policy=policy.default)
    boundary = first.get_boundary()
    hostile = f"--{boundary}a\r\n\r\n--{boundary}\r\nContent-Type: text/html\r\n\r\n<script>"
    message = parsed(html="x", text=hostile)
    assert message.get_boundary() != boundary
    assert len(list(message.iter_parts())) == 2
    assert "<script>" in body(message, "plain")


BREAKS = ["x\r\nBcc: evil@example.com", "x\nBcc: evil@example.com", "x\rBcc: e@e", "x\0y", "x\r\n\r\n<script>"]


@pytest.mark.parametrize("hostile", BREAKS)
@pytest.mark.parametrize(
    "place",
    ["subject", "name", "mailbox", "cc", "sender", "reply_to", "value", "header", "link", "file", "type", "cid"],
)
def test_no_field_can_begin_another_header_even_unvalidated(place: str, hostile: str) -> None:
    address = (Address(hostile, "a@b.c"),)
    changes: dict[str, dict[str, Any]] = {
        "subject": {"subject": hostile},
        "name": {"to": address},
        "mailbox": {"to": (Address("", hostile),)},
        "cc": {"cc": address},
        "sender": {"sender": address[0]},
        "reply_to": {"reply_to": address[0]},
        "value": {"headers": {"X-Any": hostile}},
        "header": {"headers": {hostile: "x"}},
        "link": {"list_unsubscribe": (f"https://example.com/{hostile}",)},
        "file": {"attachments": (Attachment(hostile, b""),)},
        "type": {"attachments": (Attachment("a", b"", hostile),)},
        "cid": {"html": "x", "attachments": (Attachment("a", b"", "", hostile),)},
    }
    with pytest.raises(HeaderError):
        build(**changes[place])


@pytest.mark.parametrize(
    "name",
    [
        *("From", "to", "CC", "Bcc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "content-foo"),
        *("Sender", "Return-Path", "Received", "DKIM-Signature", "Resent-To", "Reply-To", "List-Unsubscribe"),
        *("ARC-Seal", "Authentication-Results", "X Space", "X:Colon", "", "Ü", "X" * 100),
    ],
)
def test_headers_that_are_not_the_callers_are_refused(name: str) -> None:
    with pytest.raises(HeaderError):
        build(headers={name: "x"})


def test_the_callers_auto_submitted_takes_the_place_of_ours() -> None:
    assert parsed(headers={"auto-submitted": "no"}).get_all("Auto-Submitted") == ["no"]


def test_one_click_is_only_said_of_https() -> None:
    assert "List-Unsubscribe-Post" not in parsed(list_unsubscribe=("mailto:u@example.com",))
    assert parsed(list_unsubscribe=("https://e.com/u",))["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize("huge", ["x" * 10_000_000, "ü" * 10_000_000, "a b " * 2_500_000])
def test_ten_megabytes_in_a_header_are_refused_at_once(huge: str) -> None:
    for changes in ({"subject": huge}, {"headers": {"X-A": huge}}, {"to": (Address(huge, "a@b.c"),)}):
        with pytest.raises(HeaderError):
            build(**changes)
    with pytest.raises(AddressError):
        parse_address(huge)


def test_the_id_stays_over_attempts_and_differs_by_job_recipient_and_item() -> None:
    def identity(job: str = "job", item: str = "", to: str = "a@example.com") -> str:
        return Envelope(SENDER, parse_addresses([to])).message_id(job, item)

    assert identity() == identity()
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.com>", identity())
    others = {identity(job="other"), identity(to="b@example.com"), identity(item="1"), identity(item="2")}
    assert len(others | {identity()}) == 5


@pytest.mark.parametrize(
    ("text", "name", "mailbox"),
    [
        ("a@example.com", "", "a@example.com"),
        (" Anna Müller <a@example.com> ", "Anna Müller", "a@example.com"),
        ('"Müller, Anna \\"AM\\"" <a@example.com>', 'Müller, Anna "AM"', "a@example.com"),
        ("a+tag@sub.example.co.th", "", "a+tag@sub.example.co.th"),
        ("o'hara@localhost", "", "o'hara@localhost"),
        ("a@bücher.example", "", "a@xn--bcher-kva.example"),
        ("a@straße.example", "", "a@xn--strae-oqa.example"),
        ("žofie@example.com", "", "žofie@example.com"),
        ("a@[127.0.0.1]", "", "a@[127.0.0.1]"),
        ("<a@example.com>", "", "a@example.com"),
    ],
)
def test_addresses_are_read(text: str, name: str, mailbox: str) -> None:
    assert parse_address(text) == Address(name, mailbox)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "@example.com", "a@", "a@b@c", "a b@example.com", "a@exa mple.com", "a@example..com", "a@-x.com"),
        *("a,b@example.com", "a@example.com, b@example.com", "a@example.com>", "<a@example.com", "x <a@e.com> y"),
        *("a@example.com\r\nBcc: b@c.d", "a\r\n@example.com", "a\0@example.com", "<a@e.com> SIZE=1", "a>@example.com"),
        *("Evil\nName <a@example.com>", ".a@example.com", "a..b@example.com", "a" * 65 + "@example.com", '"a b"@e.com'),
        *("a@" + "x" * 260 + ".com", "a@example.com\u2028", "a\ud800@example.com", "<<a@example.com>", "a@_x.example"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_address(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_an_address_given_twice_gets_one_mail() -> None:
    envelope = Envelope(SENDER, parse_addresses(["a@e.com", "A <a@e.com>"]), parse_addresses(["a@e.com", "b@e.com"]))
    assert envelope.recipients == ("a@e.com", "b@e.com")
