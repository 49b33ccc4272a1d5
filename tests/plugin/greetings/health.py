"""Whether there is anybody to greet."""

from typing import Final

from qcollector.jobs.v1.queue_pb2 import HealthCheck

from base.resources import Resources
from base.settings import Settings
from greetings.settings import GreetingSettings
from service.health import DEGRADED, HEALTHY, Check


async def _look(settings: Settings, _resources: Resources) -> HealthCheck:
    known = GreetingSettings.of(settings).greeting_names
    reason = "" if known else "GREETING_NAMES is empty: nobody can be greeted"
    return HealthCheck(name="greetings", status=HEALTHY if known else DEGRADED, reason=reason)


CHECKS: Final = (Check("greetings", "the plugin", _look),)
