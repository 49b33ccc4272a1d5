"""Tokens for people at a terminal, signed with JWT_SECRET."""

import time
from typing import Final

from joserfc import jwt
from joserfc.jwk import OctKey

from base.settings import Settings
from stack.errors import StackError
from stack.folder import DataFolder

DEVELOPMENT: Final = "jwt"
"""The name of the secret that a stack makes for itself."""


def secret_of(settings: Settings) -> str:
    """JWT_SECRET, or the secret of the development stack that has run on DATA_DIR.

    Raises:
      StackError: there is neither.
    """
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value()
    kept = DataFolder(settings.data_dir).kept_secret(DEVELOPMENT)
    if kept is None:
        raise StackError(
            "JWT_SECRET is not set, and no development stack has run on DATA_DIR. Set JWT_SECRET to the secret of the "
            "service that the token is for."
        )
    return kept


def sign(secret: str, *, subject: str, role: str, name: str, seconds: int) -> str:
    """A bearer token that holds from now on for `seconds`."""
    now = int(time.time())
    claims = {"sub": subject, "role": role, "username": name, "iat": now, "exp": now + seconds}
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))
