"""Encryption as a stage of a stream, in age's format (https://age-encryption.org/v1).

The library pulls from one file and pushes to another, so that a thread of its own stands between it and a stage that
works the other way. It holds Python's lock most of the time: only processes that do nothing else should use this.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, BinaryIO, Final

import pyrage

_BUFFER: Final = 1 << 20


class SealingError(Exception):
    """Something cannot be encrypted or decrypted: the message says why."""


def recipient_of(text: str) -> Any:
    """The public key that a text such as "age1…" stands for.

    Raises:
      SealingError: it is none.
    """
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError:
        raise SealingError(
            'BACKUP_RECIPIENT is no public key of age, such as "age1…": make one with age-keygen'
        ) from None


def identities_of(text: str) -> list[Any]:
    """The private keys in a file that age-keygen wrote.

    Raises:
      SealingError: there is none, or one that cannot be understood.
    """
    keys = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not keys:
        raise SealingError("the identity file holds no key; it should have a line that begins with AGE-SECRET-KEY-1")
    try:
        return [pyrage.x25519.Identity.from_str(key) for key in keys]
    except pyrage.IdentityError:
        raise SealingError("the identity file holds a line that is no private key of age") from None


def passing_identity() -> Any:
    """A private key that nobody keeps: a backup is sealed to its public key as well, so that it can be read back once."""
    return pyrage.x25519.Identity.generate()


@contextmanager
def sealed(sink: Any, recipients: Sequence[Any]) -> Iterator[IO[bytes]]:
    """A file that encrypts what is written to it into `sink`. All is there at the end of the block.

    Raises:
      SealingError: it could not be encrypted.
    """
    source, entrance = _pipe()
    stage = _Stage(lambda: pyrage.encrypt_io(source, sink, list(recipients)), source)
    try:
        yield entrance
        entrance.close()
    except BrokenPipeError:
        stage.complain()
        raise
    finally:
        _close_quietly(entrance)
        stage.wait()
    stage.complain()


@contextmanager
def unsealed(source: Any, identities: Sequence[Any]) -> Iterator[IO[bytes]]:
    """A file that gives what is encrypted in `source`. Whoever reads it to its end knows that nothing was changed.

    Raises:
      SealingError: it is not encrypted to any of the identities, or was changed.
    """
    way_out, sink = _pipe()
    stage = _Stage(lambda: pyrage.decrypt_io(source, sink, list(identities)), sink)
    try:
        yield way_out
        read_to_its_end = not way_out.read(1)
    except Exception:
        stage.complain()  # what was read may have been wrong because it came to an early end
        raise
    finally:
        way_out.close()
        stage.wait()
    if read_to_its_end:
        stage.complain()


class _Stage:
    """The library at work in a thread; closes its end of the pipe when it is done."""

    def __init__(self, work: Callable[[], None], end: BinaryIO) -> None:
        self._work = work
        self._end = end
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        self._thread.join()

    def complain(self) -> None:
        """Raises SealingError if the library failed. It is known before the other end of the pipe sees the end."""
        if self._error is not None:
            raise SealingError(str(self._error)) from self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  (told to whoever waits)
            self._error = error
        finally:
            _close_quietly(self._end)


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    out, into = os.pipe()
    return os.fdopen(out, "rb", buffering=_BUFFER), os.fdopen(into, "wb", buffering=_BUFFER)


def _close_quietly(end: IO[bytes]) -> None:
    """What was left in its buffer has nobody to go to."""
    with suppress(OSError):
        end.close()
