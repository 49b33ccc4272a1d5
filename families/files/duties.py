"""The schedule of file cleanup."""

from typing import Final

from workers.duties import Seed

SCHEDULES: Final = (
    Seed(
        name="file-cleanup",
        description="Orphaned and temporary files",
        cron="0 */6 * * *",
        queue="file:cleanup",
        type="cleanup",
        data={"files": [], "olderThan": 24 * 3_600_000},
        priority=4,
    ),
)
