"""What the scheduler does for mail: it tells ALERT_EMAIL of failures."""

from typing import Final

from families.email.alerts import tell_alerts

DUTIES: Final = (tell_alerts,)
