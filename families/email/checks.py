"""What is checked of mails when they are enqueued, and of the names of templates anywhere."""

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.message import Message
from qcollector.jobs.v1.email_pb2 import EmailExportNotification
from qcollector.jobs.v1.options_pb2 import email_template

from base.settings import Settings
from contract.checks import CheckContext, FieldCheck, TypeChecks
from contract.errors import FieldProblem
from contract.fields import Mark
from families.email.settings import EmailSettings
from families.email.template_files import OWN_FOLDER, template_exists, template_names


async def _check_export_notification(payload: EmailExportNotification, _scene: CheckContext) -> Sequence[FieldProblem]:
    """A signed link is made for the service's own exports alone: it opens a file to whoever gets the mail."""
    if not payload.export_info.HasField("file"):
        return ()
    rule = "is set by the service's own exports alone; send the address of the file as downloadUrl"
    return [FieldProblem("exportInfo.file", "internal", rule)]


def _template_problem(name: str, settings: Settings) -> str:
    folders = (EmailSettings.of(settings).email_templates_dir, OWN_FOLDER)
    if template_exists(name, *folders):
        return ""
    return f"there is no such template; those available are {', '.join(template_names(*folders)) or 'none'}"


FIELD_CHECKS: Final[Mapping[Mark, FieldCheck]] = {email_template: _template_problem}
PAYLOAD_CHECKS: Final[Mapping[type[Message], TypeChecks]] = {
    EmailExportNotification: TypeChecks(at_enqueue=_check_export_notification),
}
