"""The settings of every process, read once from the environment and refused at start with cause and remedy.

`Settings` has what the platform reads. A plugin adds variables by a subclass in its `settings` module. `load` makes one object
of them all, which each plugin sees as its own by `of`. Three variables of a family are the platform's to read, by their names:
`<FAMILY>_CONCURRENCY`, `<FAMILY>_MAX_PER_USER` and `ENABLE_<FAMILY>_SERVICE`.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from base.errors import StartError
from base.plugins import PluginError, constants, job_plugins, names_in
from base.setting_problems import described

PROJECT = Path(__file__).resolve().parent.parent

Port = Annotated[int, Field(ge=1, le=65535)]
Concurrency = Annotated[int, Field(ge=1, le=1000)]
SECRETS_DIR: Final = "SECRETS_DIR"
"""A folder of files, each named after a setting and holding its value."""

Names = Annotated[tuple[str, ...], NoDecode]


def matching(pattern: str, words: str) -> AfterValidator:
    """For texts that must match. `words` say what is wrong and what to write: a regular expression helps nobody."""

    def check(value: str | None) -> str | None:
        if value is not None and re.fullmatch(pattern, value) is None:
            raise ValueError(words)
        return value

    return AfterValidator(check)


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is no IANA time zone; write one such as Europe/Berlin")
    return value


TimeZone = Annotated[str, AfterValidator(_known_zone)]


class SettingsError(StartError):
    """A setting that cannot be used; the message names the variable, the cause and the remedy."""


class Settings(BaseSettings):
    """Environment variables by their lower-case names. Durations say their unit; secrets never print."""

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """The same settings, seen as those of a plugin: `MailSettings.of(settings)`."""
        assert isinstance(settings, cls), f"load() has not found {cls.__qualname__}"
        return settings

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    # What runs
    enable_queue_service: bool = True
    job_plugins: Names = ()
    """Packages with job types of their own; see base.plugins."""
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
    public_api_url: Annotated[
        str | None,
        matching(
            r"https?://[^\s/?#@]+(/[^\s?#]*)?",
            "is not an address without a query; write one such as https://api.example.com",
        ),
    ] = None
    """Where browsers reach the gateway: download links in mails begin with it. Defaults to REST_PORT on localhost."""
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
    redis_key_prefix: Annotated[
        str,
        matching(
            r"[A-Za-z0-9_.-]{1,64}",
            "may have letters, digits and . _ - alone, at most 64 of them; write for example qjobs",
        ),
    ] = "qjobs"
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

    # Schedules
    schedule_timezone: TimeZone = "UTC"
    """The IANA zone of schedules, and of days in date ranges, that name none."""

    # Files
    data_dir: Path = Path("var")
    upload_dir: Path | None = None
    temp_dir: Path | None = None
    export_dir: Path | None = None
    backup_dir: Path | None = None
    log_dir: Path | None = None
    export_retention_days: float = Field(7, gt=0)
    """How long files in EXPORT_DIR stay, and the jobs that made them."""

    @field_validator("job_plugins", "cors_origin", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return names_in(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.grpc_tls_cert is None) != (self.grpc_tls_key is None):
            raise ValueError("GRPC_TLS_CERT and GRPC_TLS_KEY: set both or neither")
        if self.grpc_tls_client_ca is not None and self.grpc_tls_cert is None:
            raise ValueError("GRPC_TLS_CLIENT_CA: set GRPC_TLS_CERT and GRPC_TLS_KEY as well")
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
        """What `<FAMILY>_CONCURRENCY` says: jobs that one worker process runs at once.

        Plugins need not declare theirs: it is read from the environment, and 50 by default.

        Raises:
          SettingsError: such a variable does not hold a number of jobs.
        """
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

    def family_max_per_user(self, family: str) -> int:
        """What `<FAMILY>_MAX_PER_USER` says: jobs of one caller that are active at once; 0 means no limit."""
        limit: int = getattr(self, f"{family}_max_per_user", 0)
        return limit

    def switched_off_by(self, family: str) -> str:
        """The variable that says that jobs of a family are not taken; empty where none does."""
        if not self.enable_queue_service:
            return "ENABLE_QUEUE_SERVICE"
        name = f"enable_{family}_service"
        return "" if getattr(self, name, True) else name.upper()


@cache
def settings_class(named: tuple[str, ...] = ()) -> type[Settings]:
    """`Settings` with the variables of the families, and of the plugins that JOB_PLUGINS names.

    Raises:
      PluginError: a plugin cannot be found.
      SettingsError: two plugins declare one variable.
    """
    kinds: list[type[Settings]] = constants("settings", "SETTINGS", named)
    owner: dict[str, str] = dict.fromkeys(Settings.model_fields, "the platform")
    own = {each for kind in kinds for each in kind.__mro__ if issubclass(each, Settings) and each is not Settings}
    for each in sorted(own, key=lambda each: each.__module__):
        for name in each.__annotations__:
            if name in owner:
                raise SettingsError(
                    f"{name.upper()}: {each.__module__} declares it, and so does {owner[name]}; give it another name"
                )
            owner[name] = each.__module__
    return type("Settings", (*_most_derived(kinds), Settings), {"__module__": __name__}) if kinds else Settings


def _most_derived(kinds: Sequence[type[Settings]]) -> list[type[Settings]]:
    """Without those that another one derives from: a class must not come before its subclass."""
    return [kind for kind in kinds if not any(other is not kind and issubclass(other, kind) for other in kinds)]


def _from_files(names: Iterable[str]) -> dict[str, str]:
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
    for name in names:
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


def _named(overrides: Mapping[str, Any]) -> tuple[str, ...]:
    """The plugins of settings that are loaded with `overrides`."""
    told = overrides.get("job_plugins")
    return (names_in(told) if isinstance(told, str) else tuple(told)) if told else job_plugins()


def load(**overrides: Any) -> Settings:
    """Reads the environment, and the files in SECRETS_DIR for what it does not say.

    Raises:
      SettingsError: names every variable that cannot be used, why, and what to do.
    """
    try:
        kind = settings_class(_named(overrides))
    except PluginError as error:
        raise SettingsError(str(error)) from None
    try:
        return kind(**(_from_files(kind.model_fields) | overrides))
    except ValidationError as error:
        lines = [described(problem) for problem in error.errors(include_url=False, include_input=False)]
        raise SettingsError(
            "These settings cannot be used; correct or unset the variables:\n  " + "\n  ".join(lines)
        ) from None
