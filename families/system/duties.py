"""The schedules of maintenance."""

from typing import Final

from workers.duties import Seed

_DAY: Final = 24 * 3_600_000

SCHEDULES: Final = (
    Seed(
        name="daily-cleanup",
        description="Temporary files, old sessions, old logs",
        cron="0 2 * * *",
        queue="system:cleanup",
        type="cleanup",
        data={
            "tasks": [
                {"type": "temp_files", "maxAge": _DAY},
                {"type": "old_sessions", "maxAge": 7 * _DAY},
                {"type": "old_logs", "maxAge": 30 * _DAY},
            ]
        },
        priority=5,
    ),
    Seed(
        name="weekly-backup",
        description="Database, uploads and logs",
        cron="0 3 * * 0",
        queue="system:backup",
        type="backup",
        data={"type": "weekly", "targets": [{"type": "database"}, {"type": "uploads"}, {"type": "logs"}]},
        priority=8,
    ),
    Seed(
        name="health-check",
        description="Database, store, mail and queues",
        cron="*/30 * * * *",
        queue="system:cleanup",
        type="health-check",
        data={"services": ["database", "redis", "email", "queue"]},
        priority=2,
    ),
)
