"""The settings of maintenance: backups, and what health checks look at."""

from typing import Annotated

from pydantic import Field

from base.settings import Concurrency, matching
from families.email.settings import EmailSettings
from families.files.settings import FileSettings


class SystemSettings(FileSettings, EmailSettings):
    """How backups and cleanup are done."""

    system_concurrency: Concurrency = 1
    backup_retention_days: float = Field(30, gt=0)
    backup_recipient: Annotated[
        str | None,
        matching(
            "age1[02-9ac-hj-np-z]{58}",
            "is not the public key of an age key pair; write the line that begins with age1, which age-keygen prints",
        ),
    ] = None
    """An age public key ("age1…"): backups are encrypted to it."""


SETTINGS = SystemSettings
