"""The settings of exports."""

from pydantic import Field

from base.settings import Concurrency
from families.database.settings import DatabaseSettings


class ExportSettings(DatabaseSettings):
    """How many exports run at once."""

    export_concurrency: Concurrency = 1
    export_max_per_user: int = Field(3, ge=0)
    """Exports of one user that run at once."""


SETTINGS = ExportSettings
