"""Answers that the application stores encrypted: AES-256-GCM, as JSON with hexadecimal iv, encryptedData and authTag."""

import os
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

UNREADABLE: Final = "[unreadable]"
"""What stands for an answer that cannot be decrypted."""

_IV_BYTES: Final = 16
_TAG_BYTES: Final = 16


class _Sealed(msgspec.Struct):
    iv: str
    encryptedData: str  # noqa: N815  (the application's spelling)
    authTag: str  # noqa: N815


class AnswerCipher:
    """Reads and writes encrypted answers with ENCRYPTION_KEY. Without the key every answer is unreadable."""

    def __init__(self, key: SecretStr | None) -> None:
        self._cipher = AESGCM(bytes.fromhex(key.get_secret_value())) if key else None
        self._read = msgspec.json.Decoder(_Sealed).decode
        self._write = msgspec.json.Encoder().encode
        self.unreadable = 0
        """How many answers could not be decrypted so far: tampered with, or written with another key."""

    def decrypt(self, stored: str) -> str:
        """The answer, or `UNREADABLE`, which is counted."""
        if self._cipher is not None:
            try:
                sealed = self._read(stored)
                text = bytes.fromhex(sealed.encryptedData)
                tag = bytes.fromhex(sealed.authTag)
                if len(tag) == _TAG_BYTES:
                    return self._cipher.decrypt(bytes.fromhex(sealed.iv), text + tag, None).decode()
            except (msgspec.MsgspecError, ValueError, InvalidTag):  # ValueError: not hexadecimal, or not UTF-8
                pass
        self.unreadable += 1
        return UNREADABLE

    def encrypt(self, text: str, iv: bytes | None = None) -> str:
        """How the application stores it. An `iv` of 16 bytes must never be used twice; by default it is random.

        Raises:
          ValueError: there is no key.
        """
        if self._cipher is None:
            raise ValueError("ENCRYPTION_KEY is not set")
        iv = iv or os.urandom(_IV_BYTES)
        sealed = self._cipher.encrypt(iv, text.encode(), None)
        return self._write(_Sealed(iv.hex(), sealed[:-_TAG_BYTES].hex(), sealed[-_TAG_BYTES:].hex())).decode()
