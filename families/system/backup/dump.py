"""PostgreSQL's own pg_dump and pg_restore: which ones fit a server, and how they are called."""

import asyncio
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from families.database.postgres_programs import embedded_programs

Program = Literal["pg_dump", "pg_restore"]
LOCK_MS: Final = 60_000
"""How long a dump waits for tables that somebody holds."""
_DEBIAN: Final = Path("/usr/lib/postgresql")


class DumpError(Exception):
    """A database cannot be dumped or restored; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is, for programs: the password goes by the environment, which other users cannot see."""

    url: str
    password: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PGPASSWORD": self.password} if self.password else {}

    @property
    def database(self) -> str:
        return unquote(urlsplit(self.url).path.strip("/"))


def address_of(url: str) -> Address:
    """Takes the password out of an address."""
    parts = urlsplit(url)
    login, separator, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    password = unquote(password) or dict(query).get("password", "")
    rest = urlencode([(name, value) for name, value in query if name != "password"])
    return Address(f"{parts.scheme}://{user}{separator}{host}{parts.path}{'?' if rest else ''}{rest}", password)


async def program(name: Program, server: int) -> Path:
    """The oldest such program that knows servers of that major version.

    Raises:
      DumpError: there is none.
    """
    found: dict[int, Path] = {}
    for path in _candidates(name):
        if (version := await _version(path)) is not None:
            found.setdefault(version, path)
    fitting = [version for version in found if version >= server]
    if not fitting:
        have = f"only {name} of version {', '.join(map(str, sorted(found)))}" if found else f"no {name}"
        raise DumpError(
            f"the server is PostgreSQL {server}, and there is {have} here: install postgresql-client-{server}, or this "
            "project with its extra `stack`"
        )
    return found[min(fitting)]


def dump_command(pg_dump: Path, address: Address) -> list[str]:
    """Writes the whole database to standard output, uncompressed: what takes it compresses better."""
    return [
        *(str(pg_dump), "--format=custom", "--compress=none", "--no-password"),
        *(f"--lock-wait-timeout={LOCK_MS}", f"--dbname={address.url}"),
    ]


def restore_command(pg_restore: Path, address: Address, *, clean: bool) -> list[str]:
    """Reads a dump from standard input into a database; all of it or nothing."""
    return [
        *(str(pg_restore), "--no-password", "--no-owner", "--no-privileges", "--single-transaction"),
        *(["--clean", "--if-exists"] if clean else []),
        f"--dbname={address.url}",
    ]


def list_command(pg_restore: Path) -> list[str]:
    """Reads the contents of a dump from standard input."""
    return [str(pg_restore), "--list"]


def _candidates(name: Program) -> Iterator[Path]:
    if (here := shutil.which(name)) is not None:
        yield Path(here)
    if (embedded := embedded_programs()) is not None:
        yield embedded / name
    yield from _DEBIAN.glob(f"*/bin/{name}")


async def _version(path: Path) -> int | None:
    try:
        process = await asyncio.create_subprocess_exec(
            path, "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
    except OSError:
        return None
    told, _ = await process.communicate()
    match = re.search(rb"\(PostgreSQL\) (\d+)", told)
    return int(match[1]) if match else None
