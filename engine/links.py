"""Signed links to the files of jobs: whoever has one may fetch that file, and nothing else, until it is removed."""

import base64
import binascii
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from contract.errors import TokenExpiredError, TokenInvalidError
from engine.store import Store

KEY_BYTES: Final = 32
_SCOPE: Final = "links"
_EXPIRY_BYTES: Final = 5
_FILE_BYTES: Final = 12
_MAC_BYTES: Final = 16
_SIZE: Final = _EXPIRY_BYTES + _FILE_BYTES + _MAC_BYTES
_READ_AGAIN_SECONDS: Final = 1.0
"""How often a signature that does not match makes this process read the key again: the store may be another one by now."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link whose signature is right and whose time has not come."""

    queue: str
    job_id: str
    file: bytes
    """The beginning of the file's SHA-256: an id may name another job one day, and its file is not this one."""

    def opens(self, sha256: str) -> bool:
        """Whether it is a link to the file with this digest, in hexadecimal."""
        return hmac.compare_digest(self.file, _beginning(sha256))


class DownloadLinks:
    """Signs links and checks them, with a key that is kept in the store: where the store is gone, its jobs are, too."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = b""
        self._read_at = float("-inf")

    async def sign(self, queue: str, job_id: str, sha256: str, expires: int) -> str:
        """Returns the token of a link to the file with this digest (hexadecimal), good until `expires` (Unix seconds).

        Raises:
          StoreUnavailableError: the key cannot be read.
        """
        key = await self._read_key()
        claim = expires.to_bytes(_EXPIRY_BYTES, "big") + _beginning(sha256)
        return base64.urlsafe_b64encode(claim + _mac(key, queue, job_id, claim)).decode()

    async def check(self, queue: str, job_id: str, token: str) -> Link:
        """Returns what a token opens.

        Raises:
          TokenInvalidError: it was not made for a file of this job.
          TokenExpiredError: the file's time is over.
          StoreUnavailableError: the key cannot be read.
        """
        claim, mac = _parts(token)
        if not await self._matches(queue, job_id, claim, mac):
            raise TokenInvalidError("the link is not a valid one; open the whole link as the mail has it")
        if time.time() >= int.from_bytes(claim[:_EXPIRY_BYTES], "big"):
            raise TokenExpiredError("the link has expired, and its file with it; export again")
        return Link(queue, job_id, claim[_EXPIRY_BYTES:])

    async def _matches(self, queue: str, job_id: str, claim: bytes, mac: bytes) -> bool:
        if self._key and hmac.compare_digest(_mac(self._key, queue, job_id, claim), mac):
            return True
        if time.monotonic() < self._read_at + _READ_AGAIN_SECONDS:
            return False
        return hmac.compare_digest(_mac(await self._read_key(), queue, job_id, claim), mac)

    async def _read_key(self) -> bytes:
        key: bytes = await self._store.run("signing_key", _SCOPE, secrets.token_bytes(KEY_BYTES))
        self._key, self._read_at = key, time.monotonic()
        return key


def download_url(base: str, queue: str, job_id: str, token: str = "") -> str:
    """The address of a job's result below the API's own; with a token it needs no other credentials."""
    query = f"?downloadToken={token}" if token else ""
    return f"{base.rstrip('/')}/api/v1/queue/{quote(queue, safe=':')}/jobs/{quote(job_id, safe='')}/result{query}"


def _beginning(sha256: str) -> bytes:
    return bytes.fromhex(sha256)[:_FILE_BYTES]


def _mac(key: bytes, queue: str, job_id: str, claim: bytes) -> bytes:
    named = b"\0".join((b"download", queue.encode(), job_id.encode(), claim))
    return hmac.digest(key, named, "sha256")[:_MAC_BYTES]


def _parts(token: str) -> tuple[bytes, bytes]:
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii"))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _SIZE:
        raise TokenInvalidError("the link is not a valid one; open the whole link as the mail has it")
    return raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
