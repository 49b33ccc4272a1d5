"""The settings of the application's database."""

import re

from pydantic import Field, SecretStr, field_validator

from base.settings import Settings


class DatabaseSettings(Settings):
    """What is read from the application's database, and how."""

    database_url: SecretStr | None = None
    """postgresql://user:password@host:5432/database, with libpq's parameters such as ?sslmode=verify-full."""
    database_pool_size: int = Field(5, ge=1, le=100)
    """Connections to the database that one process holds at most."""
    encryption_key: SecretStr | None = None
    """64 hexadecimal digits: the application's key for the answers that it stores encrypted."""
    sample_data: bool = True
    """Whether an embedded database begins with sample data. No other database is ever given any."""

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        """Takes SQLAlchemy's spelling with a driver too, and gives it up: drivers are not the caller's business."""
        if value is None:
            return None
        scheme, separator, rest = value.get_secret_value().partition("://")
        if not separator or scheme.partition("+")[0] not in {"postgres", "postgresql"}:
            raise ValueError(
                "is not the address of a PostgreSQL database; write one such as postgresql://user:password@host:5432/database"
            )
        return SecretStr(f"postgresql://{rest}")

    @field_validator("encryption_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and re.fullmatch(r"[0-9a-fA-F]{64}", value.get_secret_value()) is None:
            raise ValueError("is not 64 hexadecimal digits; copy Q-Collector's own ENCRYPTION_KEY")
        return value


SETTINGS = DatabaseSettings
