"""Statistics of a form are what counting by hand comes to."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats, FormStats
from qcollector.jobs.v1.job_pb2 import Caller
from sqlalchemy import update

from engine.kept_results import KeptResults
from engine.store import Store
from families.analytics.kept import ANALYTICS
from families.database.connection import open_database, writing
from families.database.sample_data.ids import form_id, user_id
from families.database.tables import submissions
from tests.analytics.counted import Everything, by_day, by_status, median, minutes
from tests.desk import Desk

SATISFACTION, INSPECTION, LEAD = (str(form_id(number)) for number in (1, 2, 3))


async def stats_of(desk: Desk, form: str, **date_range: str) -> FormStats:
    payload = AnalyticsFormStats(form_id=form, date_range=date_range or None)
    result = await desk.run(payload)
    assert result.success
    stats: FormStats = result.stats
    return stats


@pytest.mark.parametrize(
    ("form", "date_range"),
    [
        (SATISFACTION, {}),
        (INSPECTION, {"start": "2025-01-01", "end": "2025-12-31", "timezone": "Asia/Bangkok"}),
        (SATISFACTION, {"start": "2026-03-29", "end": "2026-03-29", "timezone": "Europe/Berlin"}),
        (LEAD, {"start": "2031-01-01"}),
    ],
    ids=["all", "a year in Bangkok with sub-forms", "a day of 23 hours", "nothing"],
)
async def test_the_figures_are_those_of_counting_by_hand(desk: Desk, form: str, date_range: dict[str, str]) -> None:
    everything = await Everything.of(desk.settings)
    zone = ZoneInfo(date_range.get("timezone", "UTC"))
    first, last = date_range.get("start", "0001-01-01"), date_range.get("end", "9999-12-31")

    def chosen(row: Any) -> bool:
        day = row["submitted_at"].astimezone(zone).date().isoformat()
        return str(row["form_id"]) == form and first <= day <= last

    rows = everything.whole(chosen)
    stats = await stats_of(desk, form, **date_range)
    assert stats.submissions.total == len(rows)
    assert dict(stats.submissions.by_status) == by_status(rows)
    assert [(day.date, day.count) for day in stats.submissions.daily] == by_day(rows, zone.key)
    answered = everything.answered(rows)
    of_form = {str(row["id"]) for row in everything.tables["fields"] if str(row["form_id"]) == form}
    assert {field.field_id: field.response_count for field in stats.fields} == {
        field: answered[field] for field in of_form
    }
    for field in stats.fields:
        assert field.response_rate == pytest.approx(100 * field.response_count / len(rows) if rows else 0)
    rates = [field.response_rate for field in stats.fields]
    assert rates == sorted(rates, reverse=True)
    times = minutes(rows)
    assert stats.response_times.count == len(times)
    if times:
        assert stats.response_times.average_minutes == pytest.approx(sum(times) / len(times))
        assert stats.response_times.median_minutes == pytest.approx(median(times))
        assert stats.response_times.min_minutes == pytest.approx(min(times))
        assert stats.response_times.max_minutes == pytest.approx(max(times))
    assert stats.summary.total_submissions == len(rows)
    assert stats.summary.average_completion_minutes == stats.response_times.average_minutes
    assert list(stats.summary.top_fields) == list(stats.fields[:5])


async def test_the_last_day_is_whole_and_in_its_zone(own_desk: Desk) -> None:
    """A submission a second before midnight in Bangkok counts on that day, the same moment does not in UTC."""
    engine = open_database(own_desk.settings)
    moment = datetime(2031, 5, 5, 23, 59, 59, tzinfo=ZoneInfo("Asia/Bangkok"))
    async with writing(engine) as connection:
        one = (
            submissions.select()
            .with_only_columns(submissions.c.id)
            .where(submissions.c.form_id == form_id(3), submissions.c.parent_id.is_(None))
            .limit(1)
            .scalar_subquery()
        )
        await connection.execute(update(submissions).where(submissions.c.id == one).values(submitted_at=moment))
    await engine.dispose()
    here = await stats_of(own_desk, LEAD, start="2031-05-05", end="2031-05-05", timezone="Asia/Bangkok")
    assert [(day.date, day.count) for day in here.submissions.daily] == [("2031-05-05", 1)]
    assert (await stats_of(own_desk, LEAD, start="2031-05-06", timezone="Asia/Bangkok")).submissions.total == 0
    there = await stats_of(own_desk, LEAD, start="2031-05-05", end="2031-05-05", timezone="Pacific/Auckland")
    assert there.submissions.total == 0


@pytest.mark.parametrize(
    ("started", "took"),
    [
        ("2025-03-01T10:00:00.000Z", 30.0),
        ("2025-03-01T12:00:00+02:00", 30.0),
        ("2025-03-01T05:15:00-04:45", 30.0),
        ("2025-03-01T10:00:00", 30.0),
        ("2024-02-29 10:30:00.123456789+0000", 527_040 - 0.123456789 / 60),
        ("2025-03-01T10:30:00.001Z", None),
        ("2025-02-29T10:00:00Z", None),
        ("1900-02-29T10:00:00Z", None),
        ("2025-02-28T25:00:00Z", None),
        ("2025-02-28T10:00:00+99:00", None),
        ("yesterday", None),
        (17, None),
        (None, None),
    ],
)
async def test_whatever_stands_where_the_start_should_be_does_no_harm(
    own_desk: Desk, started: object, took: float | None
) -> None:
    engine = open_database(own_desk.settings)
    end = datetime(2025, 3, 1, 10, 30, tzinfo=ZoneInfo("UTC"))
    async with writing(engine) as connection:
        await connection.execute(submissions.delete().where(submissions.c.form_id == form_id(3)))
        await connection.execute(
            submissions.insert().values(form_id=form_id(3), submitted_at=end, metadata={"startedAt": started})
        )
    await engine.dispose()
    times = (await stats_of(own_desk, LEAD)).response_times
    assert (times.count, times.average_minutes) == ((1, pytest.approx(took)) if took is not None else (0, 0))


async def test_the_latest_result_is_kept_under_the_form(desk: Desk, store: Store) -> None:
    await stats_of(desk, LEAD)
    stats = await stats_of(desk, LEAD.upper(), start="2026-01-01")
    kept = await KeptResults(store, ANALYTICS).get(f"form-stats/{LEAD}")
    assert kept is not None
    assert FormStats.FromString(kept) == stats


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (AnalyticsFormStats(form_id="123"), "formId: no form that you may see has the id '123'"),
        (AnalyticsFormStats(form_id=LEAD, date_range={"start": "soon"}), "dateRange.start: 'soon' is no day"),
    ],
)
async def test_what_cannot_be_calculated_fails_for_good_and_says_why(
    desk: Desk, payload: AnalyticsFormStats, said: str
) -> None:
    job_id = await desk.enqueue(payload)
    record = await desk.end(job_id)
    assert record.starts == 1
    assert record.failed_reason.startswith(said)


async def test_a_form_is_for_those_who_may_see_it(desk: Desk) -> None:
    desk.caller = Caller(id=str(user_id(8)), name="somchai", role="general_user")
    assert "no form that you may see" in await desk.fail(AnalyticsFormStats(form_id=LEAD))
    assert (await stats_of(desk, SATISFACTION)).form_id == SATISFACTION
