"""The database that a stack brings along, with the application's tables and sample data."""

from collections.abc import Sequence
from typing import Final

from qcollector.jobs.v1.job_pb2 import Caller

from base.settings import Settings
from families.database.embedded import Postgres
from families.database.sample_data.ids import form_id
from families.database.sample_data.people import ADMIN, ADMIN_ID
from families.database.settings import DatabaseSettings
from stack.embedded import Embedded


def _welcome(settings: Settings) -> Sequence[tuple[str, str]]:
    if not DatabaseSettings.of(settings).sample_data:
        return ()
    return (("Data", f"sample forms with two years of submissions, such as {form_id(1)}"),)


SERVERS: Final = (
    Embedded(
        name=Postgres.name,
        variable="DATABASE_URL",
        start=Postgres,
        welcome=_welcome,
        # The sample data's administrator, to whom some of the forms belong.
        developer=Caller(id=str(ADMIN_ID), name=ADMIN.username, role=ADMIN.role),
    ),
)
