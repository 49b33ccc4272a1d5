"""A mail server, and what a worker would provide to mail handlers."""

import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from base.settings import Settings
from base.storage import StorageRoots
from engine.rates import RateLimit
from engine.store import Store
from families.email.composer import Composer
from families.email.sender import MailSender
from tests.mail.mailserver import MailServer
from tests.mail.recording import RecordingJob


@dataclass(frozen=True)
class Certificates:
    authority: Path
    server: ssl.SSLContext


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority of the tests, and a server's certificate for 127.0.0.1 that it has signed."""
    folder = tmp_path_factory.mktemp("certificates")
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    now = datetime.now(UTC)

    def builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    issuer = authority_key.public_key()
    signing = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    authority = (
        builder(authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(signing, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(issuer), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]), server_key)
        .add_extension(addresses, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / "authority.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(
        server.public_bytes(serialization.Encoding.PEM)
        + server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return Certificates(folder / "authority.pem", context)


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    """A mail server without TLS and login, as a relay on the local network is."""
    running = await MailServer().start()
    yield running
    await running.stop()


@pytest.fixture
def mail_settings(settings: Settings, server: MailServer) -> Settings:
    """Settings that lead to the server, with storage roots that are there."""
    StorageRoots(settings).prepare()
    return settings.model_copy(
        update={
            "smtp_host": "127.0.0.1",
            "smtp_port": server.port,
            "smtp_timeout_seconds": 5,
            "email_from": "Q-Collector <forms@example.com>",
            "app_url": "https://forms.example.com",
        }
    )


@pytest.fixture
async def sender(mail_settings: Settings, store: Store) -> AsyncIterator[MailSender]:
    opened = MailSender(mail_settings, RateLimit(store, "mail", 0))
    yield opened
    await opened.aclose()


@pytest.fixture
def writer(mail_settings: Settings) -> Composer:
    return Composer(mail_settings)


@pytest.fixture
def job(mail_settings: Settings) -> RecordingJob:
    return RecordingJob(mail_settings)


@pytest.fixture
async def new_sender(mail_settings: Settings, store: Store) -> AsyncIterator[Callable[..., MailSender]]:
    """Makes senders with other settings, or with a limit of so many a minute; they are closed at the end."""
    made: list[MailSender] = []

    def make(per_minute: int = 0, **changes: object) -> MailSender:
        changed = mail_settings.model_copy(update=changes)
        made.append(MailSender(changed, RateLimit(store, "mail", per_minute)))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()
