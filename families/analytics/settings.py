"""The settings of analytics."""

from base.settings import Concurrency
from families.database.settings import DatabaseSettings


class AnalyticsSettings(DatabaseSettings):
    """How many analytics run at once."""

    analytics_concurrency: Concurrency = 2


SETTINGS = AnalyticsSettings
