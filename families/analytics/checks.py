"""What is checked of analytics when they are enqueued: who may see a form, and ranges and zones."""

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.message import Message
from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats, AnalyticsSystemAnalytics, AnalyticsUserActivity

from contract.checks import CheckContext, TypeChecks
from contract.errors import FieldProblem
from families.database.access import SEE_ALL
from families.database.checking import form_problems, range_problems
from families.database.date_ranges import DateRangeError, date_range
from families.database.resources import database


async def _check_form(payload: AnalyticsFormStats, context: CheckContext) -> Sequence[FieldProblem]:
    return [*range_problems(payload.date_range, context.settings), *await form_problems(payload.form_id, context)]


async def _check_access(payload: AnalyticsFormStats, context: CheckContext) -> Sequence[FieldProblem]:
    """Who sees every form may have its statistics also when the form is gone."""
    return () if context.caller.role in SEE_ALL else await form_problems(payload.form_id, context)


async def _check_system(payload: AnalyticsSystemAnalytics, context: CheckContext) -> Sequence[FieldProblem]:
    try:
        date_range("", "", payload.timezone, context.settings.schedule_timezone)
    except DateRangeError as error:
        return [FieldProblem(error.field, "timezone", error.description)]
    return ()


async def _check_user(payload: AnalyticsUserActivity, context: CheckContext) -> Sequence[FieldProblem]:
    return list(range_problems(payload.date_range, context.settings))


RESOURCES: Final = (database.kind,)
PAYLOAD_CHECKS: Final[Mapping[type[Message], TypeChecks]] = {
    AnalyticsFormStats: TypeChecks(at_enqueue=_check_form, at_download=_check_access),
    AnalyticsSystemAnalytics: TypeChecks(at_enqueue=_check_system),
    AnalyticsUserActivity: TypeChecks(at_enqueue=_check_user),
}
