"""Who calls: the bearer token of a call, verified, and what it says of the caller."""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry, extract_compact
from qcollector.jobs.v1.job_pb2 import Caller
from qcollector.jobs.v1.options_pb2 import Role

from base.settings import Settings
from contract.errors import TokenExpiredError, TokenInvalidError, TokenMissingError
from service.keys import SigningKeys

MAX_TOKEN: Final = 8192
"""Characters of the longest token that is looked at."""
MAX_ID: Final = 128
MAX_WORD: Final = 255
MAX_EMAIL: Final = 320
CLOCK_SKEW: Final = 5
"""Seconds by which the clock of a token's issuer may be ahead. `exp` is taken as it stands."""
FAR_FUTURE: Final = 1e12
"""Seconds since 1970 from which on a number is no time."""
REMEMBERED: Final = 10_000
REMEMBER_SECONDS: Final = 300
"""How long a verified token is taken without verifying it again, unless it expires before."""

LEVELS: Final = {
    "super_admin": Role.ROLE_SUPER_ADMIN,
    "admin": Role.ROLE_ADMIN,
    "service": Role.ROLE_SERVICE,
}
"""What a role's word stands for; any other word is a user's."""

MISSING: Final = "the call has no token: send the metadata `authorization: Bearer <token>`"
INVALID: Final = "the token is malformed or its signature is wrong"
"""What exactly is wrong with a forged token is nobody's business."""
EXPIRED: Final = "the token has expired; sign in again"
FOREIGN: Final = "the token is meant for another service (`aud`)"

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a call."""

    id: str
    name: str
    role: str
    """The role's word, as the token has it."""
    level: Role.ValueType
    email: str = ""
    """The address that the token has, if any."""
    expires: float = field(default=math.inf, compare=False)
    """When the token expires, in Unix seconds."""

    @property
    def is_admin(self) -> bool:
        return self.level >= Role.ROLE_ADMIN

    def proto(self) -> Caller:
        return Caller(id=self.id, name=self.name, role=self.role)


def link_holder(queue: str, job_id: str) -> Principal:
    """Whoever follows a signed link. All who follow the same one share the limit of open streams."""
    return Principal(f"link:{queue}/{job_id}", "", "link", Role.ROLE_UNSPECIFIED)


class TokenVerifier:
    """Verifies tokens, and remembers for a while which ones it has verified."""

    def __init__(self, keys: SigningKeys, audience: str | None, issuer: str | None) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer
        self._registry = JWSRegistry(algorithms=keys.algorithms, strict_check_header=False)
        self._known: OrderedDict[bytes, tuple[Principal, float, float]] = OrderedDict()

    @classmethod
    def of(cls, settings: Settings, keys: SigningKeys) -> "TokenVerifier":
        return cls(keys, settings.jwt_audience, settings.jwt_issuer)

    async def verify(self, header: str | None) -> Principal:
        """Who the `authorization` value stands for: `Bearer <token>`, or the bare token.

        Raises:
          TokenMissingError, TokenInvalidError, TokenExpiredError: nobody.
        """
        token = _token_in(header)
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None:
            return await self._verify_new(token, digest)
        principal, good_until, expires = known
        now = time.time()
        if now < good_until:
            return principal
        del self._known[digest]
        if now >= expires:
            raise TokenExpiredError(EXPIRED)
        return await self._verify_new(token, digest)

    async def _verify_new(self, token: str, digest: bytes) -> Principal:
        claims = await self._verified_claims(token)
        _check_types(claims)
        now = time.time()
        expires = self._check_times(claims, now)
        self._check_addressee(claims)
        principal = replace(_principal(claims), expires=expires)
        self._known[digest] = (principal, min(expires, now + REMEMBER_SECONDS), expires)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return principal

    async def _verified_claims(self, token: str) -> Claims:
        try:
            header = extract_compact(token.encode()).headers()
            if not isinstance(header.get("kid", ""), str):
                raise TokenInvalidError(INVALID)
            key = await self._keys.find(header.get("alg"), header.get("kid"))
            return jwt.decode(token, key, registry=self._registry).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            raise TokenInvalidError(INVALID) from None

    def _check_times(self, claims: Claims, now: float) -> float:
        """Until when the token holds."""
        expires = _time(claims, "exp")
        if expires is None:
            raise TokenInvalidError("the token has no expiry (`exp`)")
        if now >= expires:
            raise TokenExpiredError(EXPIRED)
        for name in ("nbf", "iat"):
            begins = _time(claims, name)
            if begins is not None and begins > now + CLOCK_SKEW:
                raise TokenInvalidError(f"the token is not valid yet (`{name}`)")
        return expires

    def _check_addressee(self, claims: Claims) -> None:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if self._audience is not None and self._audience not in audiences:
            raise TokenInvalidError(FOREIGN)
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise TokenInvalidError("the token is from another issuer (`iss`)")


def _token_in(header: str | None) -> str:
    value = (header or "").strip()
    scheme, _, rest = value.partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else value
    if not token:
        raise TokenMissingError(MISSING)
    if len(token) > MAX_TOKEN or not token.isascii():
        raise TokenInvalidError(INVALID)
    return token


def _check_types(claims: Claims) -> None:
    """Claims that RFC 7519 registers have its types, as Envoy's check of tokens wants them too."""
    for name in ("iss", "sub", "jti"):
        if not isinstance(claims.get(name, ""), str):
            raise TokenInvalidError(f"the token's `{name}` is not a string")
    audience = claims.get("aud", "")
    if not all(isinstance(part, str) for part in (audience if isinstance(audience, list) else [audience])):
        raise TokenInvalidError("the token's `aud` is neither a string nor a list of strings")


def _principal(claims: Claims) -> Principal:
    for name in ("type", "token_type"):
        if claims.get(name) == "refresh":
            raise TokenInvalidError("this is a refresh token; send an access token")
    role = claims.get("role")
    if not isinstance(role, str) or not 0 < len(role) <= MAX_ID or not role.isprintable():
        raise TokenInvalidError("the token names no role (`role`)")
    name = claims.get("username", claims.get("name"))
    return Principal(
        id=_subject(claims),
        name=name if isinstance(name, str) and len(name) <= MAX_WORD and name.isprintable() else "",
        role=role,
        level=LEVELS.get(role, Role.ROLE_USER),
        email=_email(claims),
    )


def _email(claims: Claims) -> str:
    email = claims.get("email")
    return email if isinstance(email, str) and len(email) <= MAX_EMAIL and email.isprintable() else ""


def _subject(claims: Claims) -> str:
    subject = claims.get("sub", claims.get("id"))
    if isinstance(subject, int) and not isinstance(subject, bool):
        subject = str(subject)
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_ID or not subject.isprintable():
        raise TokenInvalidError(f"the token names no subject (`sub` or `id`, at most {MAX_ID} characters)")
    return subject


def _time(claims: Claims, name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < FAR_FUTURE:
        raise TokenInvalidError(f"the token's `{name}` is not a time")
    return float(value)
