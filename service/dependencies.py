"""What the servicers work with."""

from dataclasses import dataclass
from typing import Any

from grpc import aio

from base.settings import Settings
from contract.catalog import Catalog
from engine.events import EventHub
from engine.firing import Firing
from engine.inspection import Inspection
from engine.jobs import JobRecord
from engine.presence import Presence
from engine.queue_feed import QueueFeed
from engine.schedules import Schedules
from engine.steering import Steering
from engine.store import Store
from service.enqueueing import Enqueuer
from service.health import Health
from service.interceptor.admission_control import StreamLimits
from service.interceptor.call import caller
from service.payload_checks import PayloadChecks
from service.permissions import require_owner

Context = aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The engine of one service process, opened once in `service.bootstrap`."""

    settings: Settings
    catalog: Catalog
    store: Store
    inspection: Inspection
    steering: Steering
    events: EventHub
    queue_feed: QueueFeed
    presence: Presence
    checks: PayloadChecks
    enqueuer: Enqueuer
    schedules: Schedules
    firing: Firing
    health: Health
    limits: StreamLimits


class Servicer:
    """Base of the servicers: each serves the calls of one subject."""

    def __init__(self, deps: Dependencies) -> None:
        self.deps = deps

    def queue(self, name: str) -> str:
        """The name of a queue that there is. Raises QueueUnknownError."""
        return self.deps.catalog.queue(name).name

    async def own_job(self, queue: str, job_id: str) -> JobRecord:
        """A job that the caller may see. Raises QueueUnknownError or JobNotFoundError."""
        record = await self.deps.inspection.get(self.queue(queue), job_id)
        return require_owner(caller(), record, queue, job_id)
