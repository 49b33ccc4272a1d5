"""Makes the mail that goes over the wire out of what a job says about it."""

import unicodedata
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from google.protobuf.struct_pb2 import Struct, Value
from qcollector.jobs.v1.email_pb2 import EmailAttachment, EmailSend

from base.resources import provides
from base.settings import Settings, SettingsError
from base.storage import StorageRoots
from families.email import attachments
from families.email.addresses import AddressError, parse_address, parse_addresses
from families.email.failures import MailInvalidError
from families.email.headers import HeaderError
from families.email.message import Envelope, Mail, compose
from families.email.plaintext import to_text
from families.email.rendering import Rendered, TemplateFaultError
from families.email.sanitizing import HtmlRefusedError, Sanitizer
from families.email.sender import Outgoing
from families.email.settings import EmailSettings
from families.email.templates import Templates

_MAX_TEXT: Final = 2_000_000
"""Characters that each of the two text parts may have."""
_LARGE: Final = 64 * 1024
"""What is larger is worked on in a thread, so that the worker's heartbeat goes on."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A mail as a job describes it. Empty means what the settings say, or nothing."""

    to: Sequence[str]
    subject: str = ""
    sender: str = ""
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: str = ""
    text: str = ""
    html: str = ""
    template: str = ""
    """Takes the place of `text` and `html`, and of an empty `subject`."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    attachments: Sequence[EmailAttachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    list_unsubscribe: Sequence[str] = ()


def draft_of(payload: EmailSend) -> Draft:
    """What a payload of the contract says."""
    return Draft(
        to=payload.to,
        subject=payload.subject,
        sender=getattr(payload, "from"),
        cc=payload.cc,
        bcc=payload.bcc,
        reply_to=payload.reply_to,
        text=payload.text,
        html=payload.html,
        template=payload.template,
        variables=_plain_struct(payload.data),
        attachments=payload.attachments,
        headers=payload.headers,
        list_unsubscribe=payload.list_unsubscribe,
    )


class Composer:
    """Makes mails. One for each worker process."""

    def __init__(self, settings: Settings) -> None:
        self._templates = Templates(settings)
        self._sanitizer = Sanitizer()
        self._roots = StorageRoots(settings)
        mail = EmailSettings.of(settings)
        self._sender = mail.email_from or _if_address(mail.smtp_user) or "no-reply@localhost"
        self._reply_to = mail.email_reply_to or ""
        for variable, text in (("EMAIL_FROM", mail.email_from), ("EMAIL_REPLY_TO", mail.email_reply_to)):
            _check_setting(variable, text)

    def envelope(self, draft: Draft) -> Envelope:
        """Whom the draft's mail is from and for.

        Raises:
          MailInvalidError: an address is none, or there is no recipient.
        """
        try:
            envelope = Envelope(
                sender=parse_address(draft.sender or self._sender),
                to=parse_addresses(draft.to),
                cc=parse_addresses(draft.cc),
                bcc=parse_addresses(draft.bcc),
            )
        except AddressError as error:
            raise MailInvalidError(str(error)) from None
        if not envelope.recipients:
            raise MailInvalidError("the mail has no recipient")
        return envelope

    async def compose(self, draft: Draft, job_id: str, item: str = "") -> Outgoing:
        """The mail, with an id that is the same for every attempt; `item` tells the mails of one job apart.

        Raises:
          MailInvalidError: it cannot be made; the message says why.
        """
        envelope = self.envelope(draft)
        reply_to = draft.reply_to or self._reply_to
        try:
            content = await self._content(draft)
            subject = draft.subject if _is_visible(draft.subject) else content.subject
            if not _is_visible(subject):
                raise MailInvalidError("the mail has no subject: set `subject`, or give the template a <title>")
            mail = Mail(
                message_id=envelope.message_id(job_id, item),
                envelope=envelope,
                subject=subject,
                text=content.text,
                html=content.html,
                reply_to=parse_address(reply_to) if reply_to else None,
                attachments=await attachments.load(draft.attachments, self._roots),
                headers=draft.headers,
                list_unsubscribe=tuple(draft.list_unsubscribe),
            )
            size = len(mail.html) + len(mail.text) + sum(len(file.content) for file in mail.attachments)
            data = compose(mail) if size <= _LARGE else await anyio.to_thread.run_sync(compose, mail)
        except (AddressError, HeaderError, HtmlRefusedError, TemplateFaultError) as error:
            raise MailInvalidError(str(error)) from None
        return Outgoing(mail.message_id, envelope.sender.mailbox, envelope.recipients, data)

    async def _content(self, draft: Draft) -> Rendered:
        if draft.template:
            variables = {"subject": draft.subject, **draft.variables} if draft.subject else draft.variables
            return await self._templates.render(draft.template, variables)
        if max(len(draft.html), len(draft.text)) > _MAX_TEXT:
            raise MailInvalidError(f"a text part is longer than {_MAX_TEXT:,} characters")
        page = await self._sanitizer.sanitized(draft.html)
        if page and not draft.text:
            text = to_text(page) if len(page) <= _LARGE else await anyio.to_thread.run_sync(to_text, page)
        else:
            text = draft.text
        return Rendered(draft.subject, page, text)


def _is_visible(text: str) -> bool:
    return any(not letter.isspace() and unicodedata.category(letter) not in {"Cc", "Cf"} for letter in text)


def _check_setting(variable: str, text: str | None) -> None:
    try:
        if text:
            parse_address(text)
    except AddressError as error:
        raise SettingsError(f"{variable}: {error}. Correct or unset it.") from None


def _if_address(user: str | None) -> str | None:
    return user if user is not None and "@" in user else None


def _plain_struct(struct: Struct) -> dict[str, Any]:
    return {name: _plain(value) for name, value in struct.fields.items()}


def _plain(value: Value) -> Any:
    """A JSON value as templates want it: whole numbers without a fraction."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _plain_struct(value.struct_value)
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return getattr(value, kind) if kind in {"string_value", "bool_value"} else None


@provides(Composer)
async def composer(settings: Settings, store: Any) -> AsyncIterator[Composer]:  # noqa: ARG001  (a resource's signature)
    """The worker's composer."""
    yield Composer(settings)
