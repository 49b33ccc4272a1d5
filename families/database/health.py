"""Whether the application's database can be used."""

import time
from typing import Final

from qcollector.jobs.v1.queue_pb2 import HealthCheck
from sqlalchemy.ext.asyncio import AsyncEngine

from base.resources import Resources
from base.settings import Settings
from families.database.errors import DatabaseError
from families.database.needs import complaint, missing
from families.database.resources import database
from families.database.settings import DatabaseSettings
from service.health import DEGRADED, DISABLED, HEALTHY, Check

NAME: Final = "database"


async def _look(settings: Settings, opened: Resources) -> HealthCheck:
    if DatabaseSettings.of(settings).database_url is None:
        return HealthCheck(name=NAME, status=DISABLED, reason="DATABASE_URL is not set")
    began = time.perf_counter()
    reason = ""
    try:
        if lacks := await missing(opened[AsyncEngine]):
            reason = complaint(lacks)
    except DatabaseError as error:
        reason = str(error)
    latency = (time.perf_counter() - began) * 1000
    return HealthCheck(name=NAME, status=DEGRADED if reason else HEALTHY, reason=reason, latency_ms=latency)


RESOURCES: Final = (database.kind,)
CHECKS: Final = (Check(NAME, "the database", _look),)
