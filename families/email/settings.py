"""The settings of mail: the server, the sender, templates, alerts."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from base.settings import PROJECT, Concurrency, Port, Settings, TimeZone, matching


class EmailSettings(Settings):
    """How mails are sent, and what they say."""

    enable_email_service: bool = True
    email_concurrency: Concurrency = 5
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
    email_timezone: TimeZone = "UTC"
    email_templates_dir: Path = PROJECT / "templates" / "email"
    app_url: str = "http://localhost:5000"
    """Where the application's pages are: links to them in mails begin with it."""
    alert_email: Annotated[
        str | None, matching(r"[^@\s]+@[^@\s]+", "is not an e-mail address; write name@example.com")
    ] = None
    """Whom to tell of critical failures."""
    alert_window_minutes: float = Field(60, gt=0)
    """At most one alert for each cause within it."""

    @model_validator(mode="after")
    def _password_has_a_user(self) -> Self:
        if self.smtp_password is not None and self.smtp_user is None:
            raise ValueError("SMTP_PASSWORD: set SMTP_USER as well")
        return self


SETTINGS = EmailSettings
