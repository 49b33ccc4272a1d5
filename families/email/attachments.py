"""Reads the files that go with mails, from the storage roots alone."""

import os
import stat
from collections.abc import Sequence
from typing import Final

import anyio
from qcollector.jobs.v1.email_pb2 import EmailAttachment

from base.storage import StoragePathError, StorageRoots
from families.email.failures import MailInvalidError
from families.email.message import Attachment

MAX_BYTES: Final = 25_000_000
"""What all files of one mail may have together; more is refused by most mail servers."""


async def load(attachments: Sequence[EmailAttachment], roots: StorageRoots) -> tuple[Attachment, ...]:
    """The files with their bytes; those on disk are read in a thread.

    Raises:
      MailInvalidError: one is missing, no file or not to be read, or they are too large. Only the file's name is said.
    """
    loaded: list[Attachment] = []
    room = MAX_BYTES
    for attachment in attachments:
        name = attachment.filename or os.path.basename(attachment.path) or "attachment"  # noqa: PTH119  (of any text)
        if attachment.path:
            content = await anyio.to_thread.run_sync(_read, attachment.path, name, roots, room)
        else:
            content = attachment.content
        room -= len(content)
        if room < 0:
            raise MailInvalidError(f"the attachments are larger than {MAX_BYTES:,} bytes together")
        loaded.append(Attachment(name, content, attachment.content_type, attachment.cid))
    return tuple(loaded)


def _read(path: str, name: str, roots: StorageRoots, room: int) -> bytes:
    try:
        with open(roots.resolve(path), "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise MailInvalidError(f"the attachment {name!r} cannot be read: it is not a file")
            return file.read(room + 1)
    except StoragePathError as error:
        raise MailInvalidError(f"the attachment {name!r} cannot be read: {error}") from None
    except OSError as error:
        raise MailInvalidError(f"the attachment {name!r} cannot be read: {error.strerror}") from None


def _open_at_once(path: str, flags: int) -> int:
    """Without waiting for somebody to write to a pipe, and without following a link that was put there just now."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
