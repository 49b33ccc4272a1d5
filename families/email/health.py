"""Whether the mail server takes mails."""

from typing import Final

from qcollector.jobs.v1.queue_pb2 import HealthCheck

from base.resources import Resources
from base.settings import Settings
from families.email import smtp
from families.email.settings import EmailSettings
from service.health import DISABLED, HEALTHY, UNHEALTHY, Check

NAME: Final = "smtp"


async def _look(settings: Settings, _resources: Resources) -> HealthCheck:
    own = EmailSettings.of(settings)
    if not own.enable_email_service:
        return HealthCheck(name=NAME, status=DISABLED, reason="ENABLE_EMAIL_SERVICE is false")
    talk = await smtp.check(own)
    return HealthCheck(
        name=NAME, status=HEALTHY if talk.ok else UNHEALTHY, reason=talk.reason, latency_ms=talk.latency_ms
    )


CHECKS: Final = (Check(NAME, "the mail server", _look, remembered_seconds=10),)
