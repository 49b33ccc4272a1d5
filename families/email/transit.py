"""One mail on its way, over as many attempts as it takes: nobody who has it already gets it again."""

from dataclasses import replace
from typing import Any, Final, Self

import msgspec

from families.email.failures import MailDelayedError, MailRefusedError, listed
from families.email.sender import MailSender, Outgoing

_NOT_NOW: Final = "not taken in time"


class Transit:
    """A mail, and what has become of it for each of its recipients."""

    def __init__(self, mail: Outgoing) -> None:
        self.mail = mail
        self.accepted: list[str] = []
        self.refused: dict[str, str] = {}
        """Recipients that the server will not take, with its answers."""
        self.response = ""
        self._deferred: dict[str, str] = {}

    @classmethod
    def resume(cls, mail: Outgoing, checkpoint: bytes) -> Self:
        """Goes on where an earlier attempt packed up."""
        transit = cls(mail)
        if checkpoint:
            transit.accepted, transit.refused, transit.response = msgspec.json.decode(checkpoint)
        return transit

    def pack(self) -> bytes:
        """What the next attempt has to know."""
        state: Any = (self.accepted, self.refused, self.response)
        return msgspec.json.encode(state)

    @property
    def pending(self) -> tuple[str, ...]:
        """Who neither has it nor was refused."""
        return tuple(
            mailbox for mailbox in self.mail.recipients if mailbox not in self.accepted and mailbox not in self.refused
        )

    async def push(self, sender: MailSender) -> None:
        """Hands it over for those who are pending. Returns once nobody is, and somebody has it.

        Raises:
          MailDelayedError: somebody is pending still; those who got it are remembered.
          MailRefusedError: nobody has it, and nobody will.
        """
        try:
            delivery = await sender.send(replace(self.mail, recipients=self.pending))
        except MailRefusedError as error:
            if not self.accepted:
                raise
            self.refused.update(dict.fromkeys(self.pending, error.reason))
            return
        self.accepted += delivery.accepted
        self.refused.update(delivery.refused)
        self.response = delivery.response or self.response
        self._deferred = delivery.deferred
        if self.pending:
            raise MailDelayedError(f"the mail server does not take it now for {listed(delivery.deferred)}")
        if not self.accepted:
            raise MailRefusedError(f"the mail server refused every recipient: {listed(self.refused)}")

    def give_up(self) -> None:
        """Counts who is pending among those refused."""
        self.refused.update({mailbox: self._deferred.get(mailbox, _NOT_NOW) for mailbox in self.pending})
