"""The analytics family: statistics of forms, of the application, of users."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

from qcollector.jobs.v1.analytics_pb2 import (
    AnalyticsFormStats,
    AnalyticsFormStatsResult,
    AnalyticsSystemAnalytics,
    AnalyticsSystemAnalyticsResult,
    AnalyticsUserActivity,
    AnalyticsUserActivityResult,
)
from qcollector.jobs.v1.export_pb2 import DateRange as ContractRange
from sqlalchemy.ext.asyncio import AsyncEngine
from taskiq import TaskiqDepends

from engine.kept_results import KeptResults
from families.analytics.application import system_analytics
from families.analytics.forms import form_stats
from families.analytics.kept import keep, kept_analytics
from families.analytics.performance import engine_performance
from families.analytics.times import period_word
from families.analytics.users import UserUnknownError, user_activity
from families.database.connection import reading
from families.database.date_ranges import DateRange, DateRangeError, date_range
from families.database.errors import FormUnknownError
from families.database.resources import database
from workers.context import JobContext
from workers.handlers import handles
from workers.job_engine import JobEngine, job_engine
from workers.outcomes import FailForGood

Database = Annotated[AsyncEngine, TaskiqDepends(database)]
Kept = Annotated[KeptResults, TaskiqDepends(kept_analytics)]
Jobs = Annotated[JobEngine, TaskiqDepends(job_engine)]


@handles(AnalyticsFormStats)
async def form_statistics(
    payload: AnalyticsFormStats, job: JobContext, database: Database, kept: Kept
) -> AnalyticsFormStatsResult:
    began = time.monotonic()
    await job.progress(10, "calculating")
    with _faults_of_the_request():
        asked = _within(payload.date_range, job)
        async with reading(database) as connection:
            stats = await form_stats(connection, payload, asked, job.caller)
    await job.progress(90, "keeping the result")
    await keep(kept, job, stats.form_id, stats)
    return AnalyticsFormStatsResult(success=True, stats=stats, processing_time_ms=_since(began))


@handles(AnalyticsSystemAnalytics)
async def system_statistics(
    payload: AnalyticsSystemAnalytics, job: JobContext, database: Database, engine: Jobs, kept: Kept
) -> AnalyticsSystemAnalyticsResult:
    began = time.monotonic()
    await job.progress(10, "calculating")
    with _faults_of_the_request(range_field=""):
        zone = _within(ContractRange(timezone=payload.timezone or (job.slot.timezone if job.slot else "")), job).zone
    ended_by = (job.slot.time if job.slot else datetime.now(UTC)) if payload.completed else None
    word = period_word(payload.period)
    performance = await engine_performance(engine)
    async with reading(database) as connection:
        analytics = await system_analytics(connection, word, zone, performance, ended_by)
    await job.progress(90, "keeping the result")
    await keep(kept, job, word, analytics)
    return AnalyticsSystemAnalyticsResult(analytics=analytics, processing_time_ms=_since(began))


@handles(AnalyticsUserActivity)
async def activity_of_user(
    payload: AnalyticsUserActivity, job: JobContext, database: Database, kept: Kept
) -> AnalyticsUserActivityResult:
    began = time.monotonic()
    await job.progress(10, "calculating")
    with _faults_of_the_request():
        asked = _within(payload.date_range, job)
        async with reading(database) as connection:
            activity = await user_activity(connection, payload, asked)
    await job.progress(90, "keeping the result")
    await keep(kept, job, activity.user_id, activity)
    return AnalyticsUserActivityResult(activity=activity, processing_time_ms=_since(began))


@contextmanager
def _faults_of_the_request(range_field: str = "dateRange.") -> Iterator[None]:
    """What no further attempt can cure, by the field at fault."""
    try:
        yield
    except FormUnknownError as error:
        raise FailForGood(f"formId: {error}") from error
    except UserUnknownError as error:
        raise FailForGood(f"userId: {error}") from error
    except DateRangeError as error:
        raise FailForGood(f"{range_field}{error}") from error


def _within(asked: ContractRange, job: JobContext) -> DateRange:
    return date_range(asked.start, asked.end, asked.timezone, job.settings.schedule_timezone)


def _since(began: float) -> float:
    """Milliseconds."""
    return (time.monotonic() - began) * 1000
