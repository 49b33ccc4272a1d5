"""The commands that hand over one mail, on a connection that aiosmtplib has opened.

Its own methods read every address and search every mail once more, which takes as long as the rest of the handover.
"""

from typing import Final

import aiosmtplib

_STUFFED: Final = b"\r\n."
_OK: Final = 250
_WILL_FORWARD: Final = 251
_GO_ON: Final = 354


async def mail_from(client: aiosmtplib.SMTP, mailbox: str, options: list[str], encoding: str) -> None:
    """Begins a mail from `mailbox`, which is an address as `parse_address` answers it.

    Raises:
      SMTPSenderRefused: the server does not take it.
    """
    words = [f"FROM:<{mailbox}>".encode(encoding), *(option.encode("ascii") for option in options)]
    response = await client.execute_command(b"MAIL", *words)
    if response.code != _OK:
        raise aiosmtplib.SMTPSenderRefused(response.code, response.message, mailbox)


async def recipient(client: aiosmtplib.SMTP, mailbox: str, encoding: str) -> None:
    """Names a recipient.

    Raises:
      SMTPRecipientRefused: the server does not take it.
    """
    response = await client.execute_command(b"RCPT", f"TO:<{mailbox}>".encode(encoding))
    if response.code not in {_OK, _WILL_FORWARD}:
        raise aiosmtplib.SMTPRecipientRefused(response.code, response.message, mailbox)


async def data(client: aiosmtplib.SMTP, content: bytes, timeout: float) -> aiosmtplib.SMTPResponse:  # noqa: ASYNC109
    """Hands over the mail, all of whose lines end in CR LF.

    Raises:
      SMTPDataError: the server did not take it.
    """
    response = await client.execute_command(b"DATA", timeout=timeout)
    if response.code != _GO_ON:
        raise aiosmtplib.SMTPDataError(response.code, response.message)
    protocol = client.protocol
    if protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    try:
        protocol.write(content.replace(_STUFFED, b"\r\n..") + b".\r\n")
        response = await protocol.read_response(timeout=timeout)
    except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError):
        client.close()
        raise
    if response.code != _OK:
        raise aiosmtplib.SMTPDataError(response.code, response.message)
    return response
