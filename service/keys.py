"""The keys that callers' tokens are signed with: JWT_SECRET, and the public keys that JWT_JWKS names."""

import asyncio
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OctKey, RSAKey

from base.certificates import certificate_refusal
from base.settings import Settings, SettingsError
from contract.errors import TokenInvalidError

Key = OctKey | ECKey | RSAKey

SECRET_ALGORITHM: Final = "HS256"  # noqa: S105  (the name of an algorithm)
PUBLIC_ALGORITHMS: Final = ("ES256", "RS256")
MIN_SECRET: Final = 16
"""Characters of the shortest JWT_SECRET that is taken."""
MIN_RSA_BITS: Final = 2048
BITS_OF_A_LETTER: Final = 6
"""Of the base 64 in which a key set writes numbers."""
COOLDOWN_SECONDS: Final = 30
"""How soon the public keys may be read again: an unknown key id costs the issuer at most one request in this time."""
MAX_AGE_SECONDS: Final = 600
FETCH_SECONDS: Final = 5
MAX_SET_BYTES: Final = 256 * 1024

log = structlog.get_logger()


class SigningKeys:
    """Finds the key for a token. Each algorithm takes its own kind of key and no other."""

    def __init__(self, secret: OctKey | None, public: "PublicKeys | None") -> None:
        self._secret = secret
        self._public = public

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ((SECRET_ALGORITHM,) if self._secret else ()) + (PUBLIC_ALGORITHMS if self._public else ())

    async def find(self, algorithm: object, key_id: object) -> Key:
        """The key of that algorithm and id.

        Raises:
          TokenInvalidError: there is none.
        """
        if algorithm not in self.algorithms:
            raise TokenInvalidError(f"the token is not signed with {' or '.join(self.algorithms)}")
        if algorithm == SECRET_ALGORITHM and self._secret is not None:
            return self._secret
        assert self._public is not None
        return await self._public.find(str(algorithm), key_id)


class PublicKeys:
    """A set of public keys in a file or at an https address, read again when a token names an unknown key."""

    def __init__(self, read: Callable[[], bytes], source: str) -> None:
        self._read = read
        self._source = source
        self._keys: list[ECKey | RSAKey] = []
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, algorithm: str, key_id: object) -> Key:
        """The key for that algorithm and id; without an id, the only key for that algorithm.

        Raises:
          TokenInvalidError: the set has no such key, or could not be read.
        """
        if self._age() > MAX_AGE_SECONDS:
            await self._refresh()
        key = self._pick(algorithm, key_id)
        if key is None:
            await self._refresh()
            key = self._pick(algorithm, key_id)
        if key is None:
            raise TokenInvalidError("the token's key is not among the public keys of JWT_JWKS")
        return key

    def load(self) -> None:
        """Reads the keys. Raises OSError or ValueError."""
        self._keys = _usable_keys(self._read())

    def _pick(self, algorithm: str, key_id: object) -> Key | None:
        kind = ECKey if algorithm == "ES256" else RSAKey
        keys = [key for key in self._keys if isinstance(key, kind) and key.alg in {None, algorithm}]
        if key_id is not None:
            keys = [key for key in keys if key.kid == key_id]
        return keys[0] if len(keys) == 1 else None

    def _age(self) -> float:
        return time.monotonic() - self._read_at

    async def _refresh(self) -> None:
        """Reads again unless that was done a moment ago. Where it fails, the keys so far remain."""
        async with self._reading:
            if self._age() < COOLDOWN_SECONDS:
                return
            self._read_at = time.monotonic()
            try:
                await asyncio.to_thread(self.load)
            except (OSError, ValueError) as error:
                reason = certificate_refusal(error, "JWT_JWKS") or str(error)
                log.warning("jwks_unavailable", source=self._source, reason=reason)


def signing_keys(settings: Settings) -> SigningKeys:
    """The keys that the settings name.

    Raises:
      SettingsError: there is none, or one that cannot be used.
    """
    if settings.jwt_secret is None and settings.jwt_jwks is None:
        raise SettingsError(
            "JWT_SECRET and JWT_JWKS: neither is set, so that no caller could be told from another. Set JWT_SECRET to "
            f"the secret that your tokens are signed with (HS256, at least {MIN_SECRET} characters), or JWT_JWKS to a "
            "file or https address with the public keys (ES256, RS256)."
        )
    return SigningKeys(_secret(settings), _public(settings.jwt_jwks) if settings.jwt_jwks else None)


def _secret(settings: Settings) -> OctKey | None:
    if settings.jwt_secret is None:
        return None
    secret = settings.jwt_secret.get_secret_value()
    if len(secret) < MIN_SECRET:
        raise SettingsError(
            f"JWT_SECRET: {len(secret)} characters could be guessed. Use at least {MIN_SECRET}, drawn at random."
        )
    return OctKey.import_key(secret)


def _public(location: str) -> PublicKeys:
    if location.startswith("https://"):
        return PublicKeys(lambda: _fetch(location), location)
    if "://" in location:
        raise SettingsError(
            f"JWT_JWKS={location}: neither a file nor an https address. Keys that anybody on the way could "
            "exchange are not taken."
        )
    keys = PublicKeys(Path(location).read_bytes, location)
    try:
        keys.load()
    except (OSError, ValueError) as error:
        raise SettingsError(f"JWT_JWKS={location}: {error}. Name a file with a JSON Web Key Set.") from None
    return keys


def _usable_keys(data: bytes) -> list[ECKey | RSAKey]:
    """The set's keys for ES256 and RS256. Others, such as those for encryption, are left out."""
    try:
        entries = msgspec.json.decode(data, type=dict[str, Any])["keys"]
        keys = [key for entry in entries if (key := _usable_key(entry)) is not None]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        raise ValueError("not a JSON Web Key Set") from None
    if not keys:
        raise ValueError(f"no key for {' or '.join(PUBLIC_ALGORITHMS)} in it")
    return keys


def _usable_key(entry: dict[str, Any]) -> ECKey | RSAKey | None:
    if entry.get("use", "sig") != "sig" or entry.get("kty") not in {"EC", "RSA"}:
        return None
    if entry["kty"] == "RSA" and len(str(entry.get("n"))) * BITS_OF_A_LETTER < MIN_RSA_BITS:
        return None
    try:
        key = JWKRegistry.import_key(entry)
    except (JoseError, ValueError):
        return None
    if isinstance(key, RSAKey) or (isinstance(key, ECKey) and key.curve_name == "P-256"):
        return key
    return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to another host, or out of TLS."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """None makes a redirect the error that it is here."""


def _fetch(url: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(url, timeout=FETCH_SECONDS) as response:
        data: bytes = response.read(MAX_SET_BYTES + 1)
    if len(data) > MAX_SET_BYTES:
        raise ValueError(f"more than {MAX_SET_BYTES} bytes")
    return data
