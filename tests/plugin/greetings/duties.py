"""What the scheduler does for greetings."""

import asyncio
from typing import Final

from greetings.settings import GreetingSettings
from workers.duties import SchedulerContext, Seed


async def keep_a_sign(context: SchedulerContext, stopping: asyncio.Event) -> None:
    """Says by a file that the scheduler works for this plugin, until it stops."""
    sign = GreetingSettings.of(context.settings).data_dir / "greetings-duty"
    sign.write_text(", ".join(context.catalog.queues), "utf-8")
    await stopping.wait()
    sign.unlink()


DUTIES: Final = (keep_a_sign,)
SCHEDULES: Final = (
    Seed(
        name="morning-greeting",
        description="Greets Ada",
        cron="0 8 * * *",
        queue="greetings:write",
        type="greet",
        data={"name": "Ada"},
        priority=2,
    ),
)
