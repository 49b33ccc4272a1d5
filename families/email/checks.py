"""What is checked of mails when they are enqueued."""

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.message import Message
from qcollector.jobs.v1.email_pb2 import EmailExportNotification

from contract.errors import FieldProblem
from service.payload_checks import Scene, TypeChecks


async def _check_export_notification(payload: EmailExportNotification, _scene: Scene) -> Sequence[FieldProblem]:
    """A signed link is made for the service's own exports alone: it opens a file to whoever gets the mail."""
    if not payload.export_info.HasField("file"):
        return ()
    rule = "is set by the service's own exports alone; send the address of the file as downloadUrl"
    return [FieldProblem("exportInfo.file", "internal", rule)]


MAIL_CHECKS: Final[Mapping[type[Message], TypeChecks]] = {
    EmailExportNotification: TypeChecks(at_enqueue=_check_export_notification),
}
