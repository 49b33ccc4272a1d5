"""Statistics of the application and of users are what counting by hand comes to; those of the engine are its own."""

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from qcollector.jobs.v1.analytics_pb2 import (
    AnalyticsFormStats,
    AnalyticsPeriod,
    AnalyticsSystemAnalytics,
    AnalyticsSystemAnalyticsResult,
    AnalyticsUserActivity,
    SystemAnalytics,
    UserActivity,
)
from sqlalchemy import update

from engine.firing import Firing
from engine.kept_results import KeptResults
from engine.schedules import Schedules
from engine.store import Store
from families.analytics.kept import ANALYTICS
from families.analytics.times import ended_range, period_range
from families.database.connection import open_database, writing
from families.database.sample_data.ids import form_id, user_id
from families.database.tables import forms, submissions, users
from tests.analytics.counted import Everything, by_day, by_status, latest
from tests.desk import Desk
from tests.postgres import SAMPLE_ENDS
from workers.seeded import seed


async def bring_up_to_date(desk: Desk) -> None:
    """As if the sample data went until now, which periods end with."""
    engine = open_database(desk.settings)
    late = datetime.now(UTC) - SAMPLE_ENDS - timedelta(hours=1)
    async with writing(engine) as connection:
        for table, column in ((submissions, "submitted_at"), (users, "last_login_at"), (forms, "createdAt")):
            await connection.execute(update(table).values({column: table.c[column] + late}))
    await engine.dispose()


@pytest.mark.parametrize(
    ("period", "word"),
    [
        (AnalyticsPeriod.ANALYTICS_PERIOD_WEEK, "week"),
        (AnalyticsPeriod.ANALYTICS_PERIOD_UNSPECIFIED, "month"),
        (AnalyticsPeriod.ANALYTICS_PERIOD_YEAR, "year"),
    ],
)
async def test_the_figures_are_those_of_counting_by_hand(
    own_desk: Desk, store: Store, period: AnalyticsPeriod.ValueType, word: str
) -> None:
    await bring_up_to_date(own_desk)
    everything = await Everything.of(own_desk.settings)
    result = await own_desk.run(AnalyticsSystemAnalytics(period=period, timezone="Asia/Bangkok"))
    found: SystemAnalytics = result.analytics
    now = found.calculate_time.ToDatetime(tzinfo=UTC)
    within = period_range(word, now, ZoneInfo("Asia/Bangkok"))
    assert found.period == word
    assert datetime.fromisoformat(found.date_range.start) == within.start
    assert datetime.fromisoformat(found.date_range.end) == now
    assert within.start is not None

    rows = everything.whole(lambda row: within.start <= row["submitted_at"] < now)
    assert found.submissions.total == len(rows) > 0
    assert dict(found.submissions.by_status) == by_status(rows)
    assert [(day.date, day.count) for day in found.submissions.daily] == by_day(rows, "Asia/Bangkok")
    people, made = everything.tables["users"], everything.tables["forms"]
    active = [row for row in people if row["last_login_at"] and within.start <= row["last_login_at"] < now]
    assert (found.users.total, found.users.active) == (len(people), len(active))
    assert dict(found.users.by_role) == Counter(row["role"] for row in people)
    created = [row for row in made if within.start <= row["createdAt"] < now]
    assert (found.forms.total, found.forms.created) == (len(made), len(created))
    assert dict(found.forms.by_status) == Counter("active" if row["is_active"] else "inactive" for row in made)
    assert found.summary.active_users == len(active)
    assert found.summary.avg_submissions_per_form == pytest.approx(len(rows) / len(made))
    kept = await KeptResults(store, ANALYTICS).get(f"system-analytics/{word}")
    assert kept == found.SerializeToString()


@pytest.mark.parametrize(
    ("word", "zone", "now", "start"),
    [
        ("day", "Asia/Bangkok", "2026-06-30T18:00:00Z", "2026-07-01T00:00:00+07:00"),
        ("day", "Europe/Berlin", "2026-03-29T20:00:00Z", "2026-03-29T00:00:00+01:00"),
        ("week", "Europe/Berlin", "2026-03-29T20:00:00Z", "2026-03-22T20:00:00Z"),
        ("month", "Asia/Bangkok", "2026-06-30T18:00:00Z", "2026-07-01T00:00:00+07:00"),
        ("quarter", "UTC", "2026-06-30T18:00:00Z", "2026-04-01T00:00:00Z"),
        ("quarter", "UTC", "2026-12-31T18:00:00Z", "2026-10-01T00:00:00Z"),
        ("year", "America/New_York", "2026-01-01T02:00:00Z", "2025-01-01T00:00:00-05:00"),
    ],
)
def test_a_period_begins_where_the_calendar_of_its_zone_says(word: str, zone: str, now: str, start: str) -> None:
    ends = datetime.fromisoformat(now)
    found = period_range(word, ends, ZoneInfo(zone))
    assert (found.start, found.end) == (datetime.fromisoformat(start), ends)


@pytest.mark.parametrize(
    ("word", "zone", "moment", "start", "end"),
    [
        ("day", "Asia/Bangkok", "2026-06-30T18:00:00Z", "2026-06-30T00:00:00+07:00", "2026-07-01T00:00:00+07:00"),
        ("day", "Europe/Berlin", "2026-03-29T23:00:00Z", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("day", "Europe/Berlin", "2026-10-26T00:00:00Z", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("day", "America/Havana", "2026-03-09T05:00:00Z", "2026-03-08T01:00:00-04:00", "2026-03-09T00:00:00-04:00"),
        ("week", "Europe/Berlin", "2026-03-30T01:00:00Z", "2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("week", "UTC", "2026-01-04T23:59:59Z", "2025-12-22T00:00:00Z", "2025-12-29T00:00:00Z"),
        ("month", "UTC", "2026-03-01T01:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("month", "Asia/Tokyo", "2025-12-31T16:00:00Z", "2025-12-01T00:00:00+09:00", "2026-01-01T00:00:00+09:00"),
        ("quarter", "UTC", "2026-02-01T00:00:00Z", "2025-10-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("year", "America/New_York", "2026-01-01T02:00:00Z", "2024-01-01T00:00:00-05:00", "2025-01-01T00:00:00-05:00"),
    ],
)
def test_a_completed_period_is_the_whole_one_before(word: str, zone: str, moment: str, start: str, end: str) -> None:
    found = ended_range(word, datetime.fromisoformat(moment), ZoneInfo(zone))
    assert (found.start, found.end) == (datetime.fromisoformat(start), datetime.fromisoformat(end))


@pytest.mark.parametrize(("name", "days"), [("daily-analytics", 1), ("weekly-analytics", 7)])
async def test_recurring_analytics_cover_what_had_ended_by_their_slot_however_late_they_run(
    desk: Desk, store: Store, name: str, days: int
) -> None:
    """The seeded schedules, moved to a zone of their own, whose slot nobody fired for weeks."""
    schedules = Schedules(store)
    await seed(schedules, desk.catalog, desk.settings)
    firing = Firing(store, schedules, desk.catalog, desk.admission, desk.intake)
    zone = ZoneInfo("Pacific/Kiritimati")
    await schedules.change(name, lambda record: setattr(record, "timezone", zone.key))
    await store.client.hincrby(store.keys("schedules")["slots"], name, -40 * 86_400_000)
    await firing.fire_due()
    (run,) = await schedules.runs(name)
    found = AnalyticsSystemAnalyticsResult.FromString(
        (await desk.end_of("analytics:calculate", run.job_id)).result
    ).analytics
    end = datetime.combine(run.slot.astimezone(zone).date(), time(), zone)
    assert (datetime.fromisoformat(found.date_range.start), datetime.fromisoformat(found.date_range.end)) == (
        end - timedelta(days=days),
        end,
    )
    assert (found.completed, found.date_range.timezone) == (True, zone.key)


async def test_a_job_on_demand_covers_the_period_under_way_unless_it_asks_for_the_one_before(desk: Desk) -> None:
    day = AnalyticsPeriod.ANALYTICS_PERIOD_DAY
    under_way = (await desk.run(AnalyticsSystemAnalytics(period=day))).analytics
    before = (await desk.run(AnalyticsSystemAnalytics(period=day, completed=True))).analytics
    assert (under_way.completed, before.completed) == (False, True)
    assert before.date_range.end == under_way.date_range.start


async def test_the_engines_figures_are_its_own(desk: Desk) -> None:
    for form in (str(form_id(1)), str(form_id(2)), str(form_id(3))):
        await desk.run(AnalyticsFormStats(form_id=form))
    await desk.fail(AnalyticsFormStats(form_id="none"))
    result = await desk.run(AnalyticsSystemAnalytics())
    performance = result.analytics.performance
    assert (performance.success_rate, performance.error_rate) == (75, 25)
    assert 0 < performance.average_response_time_ms < 60_000
    assert performance.jobs_per_second == pytest.approx(4 / 60, rel=0.05)
    assert performance.backlog == 0


@pytest.mark.parametrize("date_range", [{}, {"start": "2026-01-01", "end": "2026-06-30", "timezone": "Asia/Bangkok"}])
async def test_activity_is_that_of_counting_by_hand(desk: Desk, store: Store, date_range: dict[str, str]) -> None:
    everything = await Everything.of(desk.settings)
    zone = ZoneInfo(date_range.get("timezone", "UTC"))
    user = user_id(6)

    def inside(time: datetime | None) -> bool:
        day = time.astimezone(zone).date().isoformat() if time else ""
        return bool(time) and date_range.get("start", "0") <= day <= date_range.get("end", "9")

    result = await desk.run(AnalyticsUserActivity(user_id=str(user), date_range=date_range or None))
    found: UserActivity = result.activity
    rows = everything.whole(lambda row: row["submitted_by"] == user and inside(row["submitted_at"]))
    assert found.submissions.made == len(rows) > 0
    assert found.submissions.last_made.ToDatetime(tzinfo=UTC) == latest(rows, "submitted_at")
    made = [row for row in everything.tables["forms"] if row["created_by"] == user and inside(row["createdAt"])]
    assert found.forms.created == len(made)
    assert found.forms.HasField("last_created") == bool(made)
    logins = [row for row in everything.tables["sessions"] if row["user_id"] == user and inside(row["createdAt"])]
    assert found.logins.count == len(logins)
    (person,) = (row for row in everything.tables["users"] if row["id"] == user)
    last = [row["createdAt"] for row in logins] + [person["last_login_at"]] * inside(person["last_login_at"])
    assert found.logins.last_login.ToDatetime(tzinfo=UTC) == max(last)
    assert found.summary.last_activity.ToDatetime(tzinfo=UTC) == max(*last, latest(rows, "submitted_at"))
    assert await KeptResults(store, ANALYTICS).get(f"user-activity/{user}") == found.SerializeToString()


async def test_a_user_that_is_not_there_is_an_error_that_says_so(desk: Desk) -> None:
    assert await desk.fail(AnalyticsUserActivity(user_id="123")) == (
        "userId: no user has the id '123': name one by its id, as the application shows it"
    )
