"""The settings of every process, read once from the environment and refused at start with cause and remedy."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from base.errors import StartError
from base.setting_problems import described

PROJECT = Path(__file__).resolve().parent.parent

Port = Annotated[int, Field(ge=1, le=65535)]
Concurrency = Annotated[int, Field(ge=1, le=1000)]
SECRETS_DIR: Final = "SECRETS_DIR"
"""A folder of files, each named after a setting and holding its value."""

Names = Annotated[tuple[str, ...], NoDecode]


class SettingsError(StartError):
    """A setting that cannot be used; the message names the variable, the cause and the remedy."""


class Settings(BaseSettings):
    """Environment variables by their lower-case names. Durations say their unit; secrets never print."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    # What runs
    enable_queue_service: bool = True
    enable_email_service: bool = True
    job_plugins: Names = ()
    """Packages with job types of their own: each has `contract` (the generated modules) and `handlers`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    shutdown_grace_seconds: float = Field(10, ge=0, le=3600)
    """How long running jobs may go on after SIGTERM before they are handed back."""

    # Where it listens
    bind_host: str = "127.0.0.1"
    rest_port: Port = 5000
    grpc_port: Port = 50051
    envoy_admin_port: Port = 9901
    envoy_access_log: str | None = None
    """The file that Envoy writes its requests to, by default envoy.log in LOG_DIR; `-` is its standard output."""
    metrics_port: int = Field(9464, ge=0, le=65535)
    grpc_tls_cert: Path | None = None
    grpc_tls_key: Path | None = None
    grpc_tls_client_ca: Path | None = None
    """With it, callers must show a certificate of this authority (mTLS)."""
    grpc_reflection: bool = True
    grpc_max_message_bytes: int = Field(16 * 1024 * 1024, ge=1024)
    cors_origin: Names = ()
    rest_rate_limit: int = Field(0, ge=0)
    """REST requests a second that Envoy lets through; 0 means no limit."""
    rest_max_body_bytes: int = Field(10 * 1024 * 1024, ge=1024)
    rest_request_seconds: float = Field(60, ge=1, le=3600)
    """Within which a request has to have arrived whole at Envoy."""
    rest_idle_seconds: float = Field(600, ge=1, le=86_400)
    """After which Envoy closes a connection without calls."""
    envoy_memory_bytes: int = Field(1024**3, ge=256 * 1024**2)
    """What Envoy may take: near it, it refuses calls, and breaks off those that hold most."""
    board_enabled: bool = True
    """Whether Envoy serves the board under /, and `qjobs up` builds it."""
    board_dir: Path = PROJECT / "build" / "board"
    """The built board."""

    # Who may call
    jwt_secret: SecretStr | None = None
    jwt_jwks: str | None = None
    """A file or an https address with the public keys, for ES256 and RS256."""
    jwt_audience: str | None = None
    jwt_issuer: str | None = None

    # The store
    redis_url: SecretStr | None = None
    """redis://, rediss://, redis+sentinel://host:port,host:port/service, redis+cluster://host:port,host:port."""
    redis_host: str = "127.0.0.1"
    redis_port: Port = 6379
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    redis_sentinel_username: str | None = None
    redis_sentinel_password: SecretStr | None = None
    """The login at the Sentinels, which is apart from that at the servers."""
    redis_queue_db: int = Field(1, ge=0, le=15)
    redis_key_prefix: str = Field("qjobs", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    redis_max_connections: int = Field(200, ge=10)
    redis_tls_ca: Path | None = None

    # The engine
    queue_lease_seconds: float = Field(30, ge=1, le=3600)
    queue_max_payload_bytes: int = Field(1_000_000, ge=1024, le=8_000_000)
    queue_max_backlog: int = Field(1_000_000, ge=1)
    queue_min_retention: float = Field(900, ge=0)
    """Seconds that a finished job stays at least."""
    retention_completed_hours: float = Field(24, gt=0)
    retention_failed_days: float = Field(30, gt=0)

    # Jobs that one worker process runs at once, by family
    email_concurrency: Concurrency = 5
    file_concurrency: Concurrency = 2
    export_concurrency: Concurrency = 1
    analytics_concurrency: Concurrency = 2
    system_concurrency: Concurrency = 1

    # Schedules
    schedule_timezone: str = "UTC"
    """The IANA zone of schedules, and of days in date ranges, that name none."""

    # Files, exports, cleanup and backup
    image_quality: int = Field(85, ge=1, le=100)
    webp_quality: int = Field(80, ge=1, le=100)
    image_max_pixels: int = Field(100_000_000, ge=1, le=1_000_000_000)
    """Width times height, times frames, beyond which an image is refused before it is decoded."""
    clamav_host: str | None = None
    """With it, files are scanned before they are processed."""
    clamav_port: Port = 3310
    clamav_max_bytes: int = Field(25_000_000, ge=1)
    """Files beyond it count as not scanned: clamd itself calls clean what is larger than its MaxFileSize."""
    export_retention_days: float = Field(7, gt=0)
    export_max_per_user: int = Field(3, ge=0)
    """Exports of one user that run at once."""
    backup_retention_days: float = Field(30, gt=0)
    backup_recipient: str | None = Field(None, pattern="^age1[02-9ac-hj-np-z]{58}$")
    """An age public key ("age1…"): backups are encrypted to it."""
    cleanup_delete: bool = False
    """On a DATABASE_URL of the user's own: orphaned_files and old_sessions delete instead of only reporting."""
    alert_email: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+$")
    """Whom to tell of critical failures."""
    alert_window_minutes: float = Field(60, gt=0)
    """At most one alert for each cause within it."""

    # Mail
    smtp_host: str | None = None
    smtp_port: Port = 587
    smtp_secure: bool = False
    """TLS from the first byte (port 465). Otherwise STARTTLS as `smtp_starttls` says."""
    smtp_starttls: Literal["auto", "required", "never"] = "auto"
    """auto: required once SMTP_USER is set, used where offered otherwise."""
    smtp_tls_ca: Path | None = None
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_max_connections: int = Field(5, ge=1, le=100)
    smtp_max_messages: int = Field(100, ge=1)
    """Messages on one connection before it is renewed."""
    smtp_timeout_seconds: float = Field(30, gt=0, le=600)
    smtp_rate_limit: int = Field(0, ge=0)
    """Mails a minute over all workers; 0 means no limit."""
    email_from: str | None = None
    """Defaults to SMTP_USER where that is an address, else to no-reply@localhost."""
    email_reply_to: str | None = None
    email_locale: str = "en"
    email_timezone: str = "UTC"
    email_templates_dir: Path = PROJECT / "templates" / "email"
    app_url: str = "http://localhost:5000"
    """Where the application's pages are: links to them in mails begin with it."""
    public_api_url: str | None = None
    """Where browsers reach the gateway: download links in mails begin with it. Defaults to REST_PORT on localhost."""

    # Data
    data_dir: Path = Path("var")
    upload_dir: Path | None = None
    temp_dir: Path | None = None
    export_dir: Path | None = None
    backup_dir: Path | None = None
    log_dir: Path | None = None
    database_url: SecretStr | None = None
    """postgresql://user:password@host:5432/database, with libpq's parameters such as ?sslmode=verify-full."""
    database_pool_size: int = Field(5, ge=1, le=100)
    """Connections to the database that one process holds at most."""
    encryption_key: SecretStr | None = None
    """64 hexadecimal digits: the application's key for the answers that it stores encrypted."""
    sample_data: bool = True
    """Whether an embedded database begins with sample data. No other database is ever given any."""

    @field_validator("job_plugins", "cors_origin", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("schedule_timezone", "email_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is no IANA time zone; write one such as Europe/Berlin")
        return value

    @field_validator("public_api_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value) is None:
            raise ValueError("is not an address such as https://api.example.com, without a query")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        """Takes SQLAlchemy's spelling with a driver too, and gives it up: drivers are not the caller's business."""
        if value is None:
            return None
        scheme, separator, rest = value.get_secret_value().partition("://")
        if not separator or scheme.partition("+")[0] not in {"postgres", "postgresql"}:
            raise ValueError("is not an address such as postgresql://user:password@host:5432/database")
        return SecretStr(f"postgresql://{rest}")

    @field_validator("encryption_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and re.fullmatch(r"[0-9a-fA-F]{64}", value.get_secret_value()) is None:
            raise ValueError("is not 64 hexadecimal digits, as Q-Collector's own ENCRYPTION_KEY has")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.grpc_tls_cert is None) != (self.grpc_tls_key is None):
            raise ValueError("GRPC_TLS_CERT and GRPC_TLS_KEY: set both or neither")
        if self.grpc_tls_client_ca is not None and self.grpc_tls_cert is None:
            raise ValueError("GRPC_TLS_CLIENT_CA: needs GRPC_TLS_CERT and GRPC_TLS_KEY as well")
        if self.smtp_password is not None and self.smtp_user is None:
            raise ValueError("SMTP_PASSWORD: set SMTP_USER as well")
        return self

    def root(self, name: Literal["upload", "temp", "export", "backup", "log"]) -> Path:
        """A storage root: its own variable, else its place under DATA_DIR."""
        configured: Path | None = getattr(self, f"{name}_dir")
        default = {"upload": "uploads", "temp": "temp", "export": "exports", "backup": "backups", "log": "logs"}[name]
        return (configured or self.data_dir / default).resolve()

    @property
    def api_url(self) -> str:
        """Where the gateway is for those who follow a link."""
        return (self.public_api_url or f"http://localhost:{self.rest_port}").rstrip("/")

    def family_concurrency(self, family: str) -> int:
        """What `<FAMILY>_CONCURRENCY` says; families of plugins are read from the environment, else 50."""
        known: int | None = getattr(self, f"{family}_concurrency", None)
        if known is not None:
            return known
        variable = f"{family.upper()}_CONCURRENCY"
        text = os.environ.get(variable, "")
        if not text:
            return 50
        if not text.isdigit() or not 1 <= int(text) <= 1000:  # noqa: PLR2004  (the bounds of Concurrency)
            raise SettingsError(f"{variable}={text!r}: not a whole number from 1 to 1000. Correct or unset it.")
        return int(text)


def _from_files() -> dict[str, str]:
    """Settings that orchestrators hand over as files: SECRETS_DIR/jwt_secret (or JWT_SECRET) is JWT_SECRET.

    An empty file counts as none, as an empty variable does.

    Raises:
      SettingsError: the folder is none, or a file in it cannot be read.
    """
    told = os.environ.get(SECRETS_DIR)
    if not told:
        return {}
    if not Path(told).is_dir():
        raise SettingsError(f"{SECRETS_DIR}={told}: no folder. Mount the secrets there, or unset the variable.")
    found = {}
    for name in Settings.model_fields:
        for path in (Path(told, name), Path(told, name.upper())):
            if not os.environ.get(name.upper()) and (text := _secret(path)):
                found[name] = text
    return found


def _secret(path: Path) -> str:
    """What the file holds; nothing where there is none."""
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise SettingsError(f"{path} of {SECRETS_DIR}: {reason}. Make it a file that this user can read.") from None


def load(**overrides: Any) -> Settings:
    """Reads the environment, and the files in SECRETS_DIR for what it does not say.

    Raises:
      SettingsError: names every variable that cannot be used, why, and what to do.
    """
    try:
        return Settings(**(_from_files() | overrides))
    except ValidationError as error:
        lines = [described(problem) for problem in error.errors(include_url=False, include_input=False)]
        raise SettingsError(
            "These settings cannot be used; correct or unset the variables:\n  " + "\n  ".join(lines)
        ) from None
