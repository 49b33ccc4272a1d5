import asyncio
import datetime as dt
import ipaddress
import ssl
import urllib.error
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import exceptions as redis_errors

from base.certificates import certificate_refusal
from contract.errors import StoreUnavailableError
from engine.store import translated


@dataclass(frozen=True)
class Certificates:
    authority: Path
    server: Path
    """A certificate and its key, by the authority, without an authority key identifier."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("bare")
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)

    def issued(name: str, extension: x509.ExtensionType) -> bytes:
        built = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=True)
            .sign(key, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM)

    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    (folder / "authority.pem").write_bytes(issued("authority", x509.BasicConstraints(ca=True, path_length=None)))
    (folder / "server.pem").write_bytes(issued("127.0.0.1", address) + private)
    return Certificates(folder / "authority.pem", folder / "server.pem")


async def refusal(certificates: Certificates, *, trusted: bool) -> ssl.SSLCertVerificationError:
    """What a client that verifies as Python 3.13 does raises on a server with this certificate."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificates.server)
    strict = ssl.create_default_context(cafile=certificates.authority if trusted else None)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=serving)
    async with server:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1], ssl=strict)
    return caught.value


async def test_a_certificate_without_key_identifiers_is_refused_with_the_remedy(bare: Certificates) -> None:
    text = certificate_refusal(await refusal(bare, trusted=True), "SMTP_TLS_CA")
    assert text is not None
    assert "Python 3.13" in text
    assert "have it issued anew" in text


async def test_an_unknown_authority_names_the_settings_to_check(bare: Certificates) -> None:
    text = certificate_refusal(await refusal(bare, trusted=False), "SMTP_HOST and SMTP_TLS_CA")
    assert text is not None
    assert text.endswith("check SMTP_HOST and SMTP_TLS_CA")


async def test_the_store_tells_of_a_refused_certificate_behind_the_client_librarys_error(bare: Certificates) -> None:
    outer = redis_errors.ConnectionError("Error 1 connecting to 127.0.0.1:6379.")
    outer.__cause__ = await refusal(bare, trusted=True)
    told = translated(outer)
    assert isinstance(told, StoreUnavailableError)
    assert "have it issued anew" in told.message


async def test_the_cause_is_found_behind_urllibs_error(bare: Certificates) -> None:
    outer = urllib.error.URLError(await refusal(bare, trusted=True))
    assert "have it issued anew" in (certificate_refusal(outer, "JWT_JWKS") or "")


@pytest.mark.parametrize("error", [OSError("refused"), ValueError(), ssl.SSLError(1, "handshake failure")])
def test_other_errors_are_no_matter_of_certificates(error: Exception) -> None:
    assert certificate_refusal(error, "REDIS_URL") is None
