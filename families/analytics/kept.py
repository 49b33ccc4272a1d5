"""The latest results, kept for whoever wants to see them without a new job."""

from collections.abc import AsyncIterator
from typing import Any, Final

from google.protobuf.message import Message

from base.resources import provides
from base.settings import Settings
from contract.errors import JobServiceError
from engine.kept_results import KeptResults
from workers.context import JobContext

ANALYTICS: Final = "analytics"
"""The kind of its results, by the job type's word and what they are about: "form-stats/<form>"."""


@provides(KeptResults)
async def kept_analytics(settings: Settings, store: Any) -> AsyncIterator[KeptResults]:  # noqa: ARG001  (a resource's signature)
    yield KeptResults(store, ANALYTICS)


async def keep(kept: KeptResults, job: JobContext, subject: str, result: Message) -> None:
    """Keeps a result under the job type's word and its subject. That it cannot be kept is no reason to lose it."""
    try:
        await kept.keep(f"{job.job_type}/{subject}", result.SerializeToString())
    except JobServiceError as error:
        await job.say(f"the result is not kept beyond this job: {error.message}")
