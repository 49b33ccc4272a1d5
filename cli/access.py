"""Where the service is and who calls: from the options, the environment, or the stack that runs on this machine."""

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.exits import CommandError, Exit

if TYPE_CHECKING:
    import grpc

LOCAL_STACK: Final = Path("run", "operator.json")
"""Below DATA_DIR: what `qjobs up` leaves for whoever started it."""
DEFAULT_ADDRESS: Final = "localhost:50051"
LONGEST_FILE: Final = 65_536
_ADDRESS: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}")
_TOKEN: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Wishes:
    """What the command line and the environment say of the connection."""

    address: str = ""
    token_file: Path | None = None
    tls: bool | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Access:
    """A place to call, and what to show there."""

    address: str
    token: str = field(repr=False)
    credentials: "grpc.ChannelCredentials | None" = None


def access(wishes: Wishes, environment: Mapping[str, str]) -> Access:
    """Decides. The local stack's token goes to the local stack alone, and only where nothing else is named.

    Raises:
      CommandError: what is named cannot be used, or there is no token.
    """
    token = _token(wishes, environment)
    address = wishes.address
    if not address and not token:
        local = _local_stack(Path(environment.get("DATA_DIR") or "var"))
        if local is not None:
            return local
    address = address or DEFAULT_ADDRESS
    if not _ADDRESS.fullmatch(address):
        raise CommandError(f"The address {address!r} is none: give host:port, such as {DEFAULT_ADDRESS}.", Exit.USAGE)
    if not token:
        raise CommandError(
            "There is no token: set QJOBS_TOKEN, or name a file by --token-file. `qjobs token` makes one where JWT_SECRET "
            "is known.",
            Exit.DENIED,
        )
    return Access(address, token, _credentials(wishes))


def _token(wishes: Wishes, environment: Mapping[str, str]) -> str:
    """The token without the white space around it, or nothing."""
    given = (
        environment.get("QJOBS_TOKEN", "")
        if wishes.token_file is None
        else _read(wishes.token_file).decode("ascii", "replace")
    )
    token = given.strip().removeprefix("Bearer ").strip()
    if wishes.token_file is not None and not token:
        raise CommandError(f"The token file {wishes.token_file} is empty.", Exit.USAGE)
    if token and not _TOKEN.fullmatch(token):
        raise CommandError("The token is none: it holds white space or letters that no token has.", Exit.USAGE)
    return token


def _credentials(wishes: Wishes) -> "grpc.ChannelCredentials | None":
    """For TLS, which naming an authority or a certificate asks for; None for plain text."""
    if (wishes.cert is None) != (wishes.key is None):
        raise CommandError("A certificate and its key go together: name --cert and --key.", Exit.USAGE)
    named = wishes.ca or wishes.cert
    if wishes.tls is False and named:
        raise CommandError("--no-tls contradicts --ca and --cert: leave one out.", Exit.USAGE)
    if not (wishes.tls or named):
        return None
    import grpc  # noqa: PLC0415  (a tenth of a second, for those who get this far)

    return grpc.ssl_channel_credentials(
        root_certificates=_read(wishes.ca) if wishes.ca else None,
        private_key=_read(wishes.key) if wishes.key else None,
        certificate_chain=_read(wishes.cert) if wishes.cert else None,
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", Exit.USAGE) from None
    if len(content) > LONGEST_FILE:
        raise CommandError(f"{path} is too large for what it should hold.", Exit.USAGE)
    return content


def _local_stack(data_dir: Path) -> Access | None:
    """The stack that this user runs on `data_dir`. A file that others may have written or read is none of theirs."""
    path = data_dir / LOCAL_STACK
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123
        state = os.fstat(descriptor)
        private = stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & 0o077
        content = file.read(LONGEST_FILE) if private else b""
    try:
        told = json.loads(content)
        address, token = str(told["address"]), str(told["token"])
    except (ValueError, KeyError, TypeError):
        return None
    if not (
        _ADDRESS.fullmatch(address) and _TOKEN.fullmatch(token) and is_loopback(address.rpartition(":")[0].strip("[]"))
    ):
        return None
    return Access(address, token)


def is_loopback(host: str) -> bool:
    """Whether it is an address that only this machine answers at."""
    import ipaddress  # noqa: PLC0415  (where a local stack was found)

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
