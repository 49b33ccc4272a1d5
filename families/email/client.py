"""The client's calls for mail. Imports the client and generated code alone: it is packaged without the family."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Unpack

from qcollector.jobs.v1.email_pb2 import (
    EmailForm,
    EmailPasswordReset,
    EmailRecipient,
    EmailSubmission,
    EmailSubmissionNotification,
    EmailUser,
    EmailWelcome,
)
from qcollector.jobs.v1.processor_service_pb2 import DESCRIPTOR

from client.calls import Calls, Options
from client.handle import JobHandle
from client.payloads import message_of, timestamp_of

_TASKS: Final = DESCRIPTOR.services_by_name["ProcessorService"].methods_by_name


class EmailCalls(Calls):
    """The mails that the application sends."""

    async def send_welcome_email(self, user: Any, **options: Unpack[Options]) -> JobHandle:
        """Greets a new user: a mapping or an object with `email` and any other fields of EmailUser."""
        payload = EmailWelcome(user=message_of(EmailUser, user))
        return await self.task(_TASKS["SendWelcomeEmail"], payload, options)

    async def send_submission_notification(
        self, submission: Any, form: Any, recipients: Iterable[Any], **options: Unpack[Options]
    ) -> JobHandle:
        """Tells recipients of a submission: addresses, or mappings or objects with `email`."""
        payload = EmailSubmissionNotification(
            submission=message_of(EmailSubmission, submission),
            form=message_of(EmailForm, form),
            recipients=[
                EmailRecipient(email=one) if isinstance(one, str) else message_of(EmailRecipient, one)
                for one in recipients
            ],
        )
        return await self.task(_TASKS["SendSubmissionNotification"], payload, options)

    async def send_password_reset_email(
        self, user: Any, reset_token: str, expires_at: datetime | str, **options: Unpack[Options]
    ) -> JobHandle:
        """Sends a link to set a new password; not after `expires_at`."""
        expiry = timestamp_of(expires_at, "expires_at")
        payload = EmailPasswordReset(user=message_of(EmailUser, user), reset_token=reset_token, expire_time=expiry)
        return await self.task(_TASKS["SendPasswordResetEmail"], payload, options)
