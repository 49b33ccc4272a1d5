"""The schedules of analytics: each day, week and month once it has ended."""

from typing import Final

from workers.duties import Seed


def _seed(name: str, period: str, cron: str) -> Seed:
    return Seed(
        name=name,
        description=f"Statistics of the {period} before",
        cron=cron,
        queue="analytics:calculate",
        type="system-analytics",
        data={"period": period, "completed": True},
        priority=3,
        earlier=({"period": period},),  # which covered the hour since midnight
    )


SCHEDULES: Final = (
    _seed("daily-analytics", "day", "0 1 * * *"),
    _seed("weekly-analytics", "week", "0 1 * * 1"),
    _seed("monthly-analytics", "month", "0 1 1 * *"),
)
