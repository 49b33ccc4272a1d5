"""Which tokens are taken, and what they say of their caller."""

import asyncio
import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest
from qcollector.jobs.v1.options_pb2 import Role
from qcollector.jobs.v1.overview_pb2 import ListJobTypesRequest

from base.settings import SettingsError, load
from contract.errors import JobServiceError, TokenExpiredError, TokenInvalidError, TokenMissingError
from service import auth, keys
from service.auth import Principal, TokenVerifier
from service.keys import signing_keys

from .certificates import self_signed
from .conftest import SECRET, WORK, Noop, Running, refused, token


def verifier(**settings: Any) -> TokenVerifier:
    loaded = load(**{"jwt_secret": SECRET, **settings})
    return TokenVerifier.of(loaded, signing_keys(loaded))


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join((*parts, ""))


def now(seconds: float = 0) -> int:
    return int(time.time() + seconds)


@dataclass(frozen=True)
class Ahead:
    """A claim's time, in seconds from the moment of the test: a module is read long before its tests run."""

    seconds: float


def dated(claims: dict[str, Any]) -> dict[str, Any]:
    """The claims as of now."""
    return {name: now() + value.seconds if isinstance(value, Ahead) else value for name, value in claims.items()}


GOOD_CLAIMS: list[tuple[dict[str, Any], Principal]] = [
    ({"sub": "u-1", "role": "admin"}, Principal("u-1", "", "admin", Role.ROLE_ADMIN)),
    ({"sub": "u-1", "role": "super_admin"}, Principal("u-1", "", "super_admin", Role.ROLE_SUPER_ADMIN)),
    ({"sub": "crm", "role": "service"}, Principal("crm", "", "service", Role.ROLE_SERVICE)),
    ({"sub": "u-1", "role": "qc"}, Principal("u-1", "", "qc", Role.ROLE_USER)),
    ({"sub": "u-1", "role": "Admin"}, Principal("u-1", "", "Admin", Role.ROLE_USER)),
    (
        {"sub": None, "id": "7f3a", "username": "ulla", "email": "ulla@example.com", "role": "general_user"},
        Principal("7f3a", "ulla", "general_user", Role.ROLE_USER, "ulla@example.com"),
    ),
    ({"sub": None, "id": 42, "role": "user"}, Principal("42", "", "user", Role.ROLE_USER)),
    ({"sub": "u-1", "name": "Ulla U.", "role": "user"}, Principal("u-1", "Ulla U.", "user", Role.ROLE_USER)),
    ({"sub": "u-1", "role": "user", "type": "access"}, Principal("u-1", "", "user", Role.ROLE_USER)),
    ({"sub": "u-1", "role": "user", "nbf": Ahead(3), "iat": Ahead(3)}, Principal("u-1", "", "user", Role.ROLE_USER)),
    ({"sub": "u-1", "role": "user", "exp": Ahead(600.5)}, Principal("u-1", "", "user", Role.ROLE_USER)),
    ({"sub": "u-1", "role": "user", "aud": ["a", "b"], "jti": "1"}, Principal("u-1", "", "user", Role.ROLE_USER)),
]


@pytest.mark.parametrize(("claims", "principal"), GOOD_CLAIMS)
async def test_a_good_token_names_its_caller(claims: dict[str, Any], principal: Principal) -> None:
    assert await verifier().verify(f"Bearer {token(**dated(claims))}") == principal


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}  ", "{}"])
async def test_the_scheme_is_optional_and_in_any_case(form: str) -> None:
    assert (await verifier().verify(form.format(token()))).id == "alice"


BAD_CLAIMS: list[tuple[dict[str, Any], type[JobServiceError]]] = [
    ({"exp": Ahead(-1)}, TokenExpiredError),
    ({"exp": None}, TokenInvalidError),
    ({"exp": "tomorrow"}, TokenInvalidError),
    ({"exp": True}, TokenInvalidError),
    ({"exp": 10**400}, TokenInvalidError),
    ({"nbf": Ahead(60)}, TokenInvalidError),
    ({"iat": Ahead(60)}, TokenInvalidError),
    ({"role": None}, TokenInvalidError),
    ({"role": ""}, TokenInvalidError),
    ({"role": ["admin"]}, TokenInvalidError),
    ({"role": "admin\n"}, TokenInvalidError),
    ({"type": "refresh"}, TokenInvalidError),
    ({"token_type": "refresh"}, TokenInvalidError),
    ({"sub": None}, TokenInvalidError),
    ({"sub": ""}, TokenInvalidError),
    ({"sub": True}, TokenInvalidError),
    ({"sub": {"id": 1}}, TokenInvalidError),
    ({"sub": "x" * 129}, TokenInvalidError),
    ({"sub": "a\x00b"}, TokenInvalidError),
    # What the gateway takes for no token must be none here.
    ({"sub": 42}, TokenInvalidError),
    ({"iss": 1}, TokenInvalidError),
    ({"jti": 1}, TokenInvalidError),
    ({"aud": ["web", 1]}, TokenInvalidError),
    ({"exp": -1}, TokenInvalidError),
    ({"iat": -1}, TokenInvalidError),
]


@pytest.mark.parametrize(("claims", "error"), BAD_CLAIMS)
async def test_a_token_with_bad_claims_is_refused(claims: dict[str, Any], error: type[JobServiceError]) -> None:
    with pytest.raises(error):
        await verifier().verify(f"Bearer {token(**dated(claims))}")


NO_TOKENS = [
    "x",
    "a.b.c",
    "a.b.c.d.e",
    "Bearer " + "x" * 9000,
    "Bearer é.é.é",
    token(secret="another-secret-that-is-long-enough"),
    token()[:-2],
    unsigned({"alg": "none"}, {"sub": "alice", "role": "admin", "exp": now(86_400)}),
    unsigned({"alg": "HS256"}, {"sub": "alice", "role": "admin", "exp": now(86_400)}),
    unsigned({"alg": ["HS256"]}, {"sub": "alice", "role": "admin", "exp": now(86_400)}),
    unsigned({}, {"sub": "alice", "role": "admin", "exp": now(86_400)}),
    jwt.encode(
        {"alg": "HS384"}, {"sub": "a", "role": "admin", "exp": now(86_400)}, OctKey.import_key(SECRET), ["HS384"]
    ),
    "Basic YTpi",
    "." + "W" * 4000 + ".",
]


# Not the values: they hold the time, and every process that runs tests must collect the same names.
@pytest.mark.parametrize("value", NO_TOKENS, ids=range(len(NO_TOKENS)))
async def test_what_is_no_token_of_ours_is_refused_without_a_word_on_why(value: str) -> None:
    with pytest.raises(TokenInvalidError) as caught:
        await verifier().verify(value)
    assert caught.value.message in {
        "the token is malformed or its signature is wrong",
        "the token is not signed with HS256",
    }


@pytest.mark.parametrize("value", [None, "", "  ", "Bearer", "Bearer  "])
async def test_no_token_is_missing_rather_than_invalid(value: str | None) -> None:
    with pytest.raises(TokenMissingError):
        await verifier().verify(value)


async def test_audience_and_issuer_are_held_to_when_configured() -> None:
    strict = verifier(jwt_audience="jobs", jwt_issuer="https://login")
    assert await strict.verify(token(aud="jobs", iss="https://login"))
    assert await strict.verify(token(aud=["web", "jobs"], iss="https://login"))
    for claims in ({"aud": "web", "iss": "https://login"}, {"iss": "https://login"}, {"aud": "jobs", "iss": "x"}, {}):
        with pytest.raises(TokenInvalidError):
            await strict.verify(token(**claims))


async def test_a_verified_token_is_remembered_but_no_longer_than_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    known = verifier()
    good = token(exp=now(60))
    await known.verify(good)
    monkeypatch.setattr(keys.SigningKeys, "find", None)  # nothing is verified a second time
    assert (await known.verify(good)).id == "alice"
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(TokenExpiredError):
        await known.verify(good)


async def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REMEMBERED", 3)
    known = verifier()
    for number in range(10):
        await known.verify(token(sub=str(number)))
    assert len(known._known) == 3


# Public keys


def key_set(path: Path, *entries: ECKey | RSAKey) -> str:
    path.write_text(json.dumps(KeySet(list(entries)).as_dict(private=False)))
    return str(path)


def signed(key: ECKey | RSAKey, algorithm: str, **header: Any) -> str:
    claims = {"sub": "alice", "role": "admin", "exp": now(600)}
    return jwt.encode({"alg": algorithm, **header}, claims, key, [algorithm])


EC = ECKey.generate_key("P-256", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})


async def test_public_keys_from_a_file_verify_es256_and_rs256(tmp_path: Path) -> None:
    public = verifier(jwt_secret=None, jwt_jwks=key_set(tmp_path / "keys.json", EC, RSA))
    assert (await public.verify(signed(EC, "ES256", kid="ec"))).id == "alice"
    assert (await public.verify(signed(RSA, "RS256", kid="rsa"))).id == "alice"
    assert (await public.verify(signed(RSA, "RS256"))).id == "alice"  # the only key of its kind needs no name
    for bad in (signed(EC, "ES256", kid="rsa"), signed(EC, "ES256", kid="gone"), token()):
        with pytest.raises(TokenInvalidError):
            await public.verify(bad)


async def test_a_public_key_is_not_taken_for_a_shared_secret(tmp_path: Path) -> None:
    """The classic confusion: HS256 with the text of the public key as the secret."""
    location = key_set(tmp_path / "keys.json", RSA)
    for secret in (RSA.as_pem(private=False).decode(), Path(location).read_text()):
        header, payload, _ = token().split(".")
        import hmac  # noqa: PLC0415

        mac = hmac.new(secret.encode(), f"{header}.{payload}".encode(), "sha256").digest()
        forged = f"{header}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        for settings in ({"jwt_secret": None}, {}):
            with pytest.raises(TokenInvalidError):
                await verifier(**settings, jwt_jwks=location).verify(forged)


async def test_both_kinds_of_keys_work_beside_each_other(tmp_path: Path) -> None:
    both = verifier(jwt_jwks=key_set(tmp_path / "keys.json", EC))
    assert await both.verify(token())
    assert await both.verify(signed(EC, "ES256", kid="ec"))


async def test_an_unknown_key_is_looked_for_again_but_not_more_often_than_the_cooldown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.json"
    public = verifier(jwt_secret=None, jwt_jwks=key_set(path, EC))
    await public.verify(signed(EC, "ES256", kid="ec"))
    new = ECKey.generate_key("P-256", {"kid": "new"})
    key_set(path, EC, new)
    with pytest.raises(TokenInvalidError):
        await public.verify(signed(new, "ES256", kid="new"))
    monkeypatch.setattr(keys, "COOLDOWN_SECONDS", 0)
    assert await public.verify(signed(new, "ES256", kid="new"))


async def test_keys_remain_when_the_set_can_no_longer_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    public = verifier(jwt_secret=None, jwt_jwks=key_set(path, EC))
    path.write_text("not a key set")
    monkeypatch.setattr(keys, "COOLDOWN_SECONDS", 0)
    with pytest.raises(TokenInvalidError):
        await public.verify(signed(EC, "ES256", kid="gone"))
    assert await public.verify(signed(EC, "ES256", kid="ec"))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"keys": 1}',
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        json.dumps({"keys": [{**RSA.as_dict(private=False), "n": "x" * 171}]}),
        json.dumps({"keys": [{**EC.as_dict(private=False), "use": "enc"}]}),
    ],
)
def test_a_file_without_a_usable_key_is_refused_at_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match="JWT_JWKS"):
        verifier(jwt_jwks=str(path))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"jwt_secret": None}, "JWT_SECRET and JWT_JWKS"),
        ({"jwt_secret": "fifteen-letters"}, "JWT_SECRET"),
        ({"jwt_jwks": "/no/such/file"}, "JWT_JWKS"),
        ({"jwt_jwks": "http://login.example.com/keys"}, "https"),
    ],
)
def test_settings_that_could_not_tell_callers_apart_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        verifier(**settings)


class Issuer:
    """A real https server with a key set."""

    def __init__(self, folder: Path) -> None:
        self.body = b""
        self.requests = 0
        self.redirect = ""
        self.certificate, key = self_signed(folder, "issuer")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests += 1
                self.send_response(302 if issuer.redirect else 200)
                if issuer.redirect:
                    self.send_header("location", issuer.redirect)
                self.end_headers()
                self.wfile.write(issuer.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}/keys"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def publish(self, *entries: ECKey | RSAKey) -> None:
        self.body = json.dumps(KeySet(list(entries)).as_dict(private=False)).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    started = Issuer(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(started.certificate))
    yield started
    started.close()


async def test_public_keys_are_fetched_once_and_again_for_an_unknown_key(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.publish(EC)
    public = verifier(jwt_secret=None, jwt_jwks=issuer.url)
    assert issuer.requests == 0  # the issuer need not be there when the service starts
    await asyncio.gather(*(public.verify(signed(EC, "ES256", kid="ec")) for _ in range(5)))
    for _ in range(5):
        with pytest.raises(TokenInvalidError):
            await public.verify(signed(EC, "ES256", kid="gone"))
    assert issuer.requests == 1
    monkeypatch.setattr(keys, "COOLDOWN_SECONDS", 0)
    issuer.publish(RSA)
    assert await public.verify(signed(RSA, "RS256", kid="rsa"))
    assert issuer.requests == 2


async def test_an_issuer_that_answers_no_key_set_lets_nobody_in(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "COOLDOWN_SECONDS", 0)
    public = verifier(jwt_secret=None, jwt_jwks=issuer.url)
    issuer.publish(EC)
    good = issuer.body
    for body, redirect in ((b"<html>", ""), (b" " * keys.MAX_SET_BYTES + good, ""), (good, "http://localhost:1/keys")):
        issuer.body, issuer.redirect = body, redirect
        with pytest.raises(TokenInvalidError):
            await public.verify(signed(EC, "ES256", kid="ec"))
    issuer.body, issuer.redirect = good, ""
    assert await public.verify(signed(EC, "ES256", kid="ec"))


# Over the wire


async def test_the_caller_of_a_job_is_what_the_token_says(service: Running) -> None:
    caller = service.as_("general_user", "7f3a", username="ulla")
    job_id = await caller.enqueue(Noop())
    job = (await caller.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=job_id))).job
    assert (job.created_by.id, job.created_by.name, job.created_by.role) == ("7f3a", "ulla", "general_user")


@pytest.mark.parametrize("length", [9_000, 14_000, 30_000])
async def test_an_endless_token_is_refused_as_a_bad_one(service: Running, length: int) -> None:
    for _ in range(3):
        endless = service.with_metadata(("authorization", "Bearer " + "x" * length))
        refusal = await refused(endless.jobs.ListJobTypes(ListJobTypesRequest()))
        assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")


async def test_a_call_says_why_its_token_was_refused(service: Running) -> None:
    expired = await refused(service.as_("admin", exp=now(-1)).jobs.ListJobTypes(ListJobTypesRequest()))
    assert (expired.code.name, expired.reason) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
    refresh = await refused(service.as_("admin", type="refresh").jobs.ListJobTypes(ListJobTypesRequest()))
    assert (refresh.code.name, refresh.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
