"""The client's call for exports. Imports the client and generated code alone: it is packaged without the family."""

from typing import Final, Literal, Unpack

from qcollector.jobs.v1.export_pb2 import ExportFormat, ExportFormOptions, ExportFormSubmissions
from qcollector.jobs.v1.processor_service_pb2 import DESCRIPTOR

from client.calls import Calls, Options
from client.handle import JobHandle
from client.payloads import enum_value

_TASKS: Final = DESCRIPTOR.services_by_name["ProcessorService"].methods_by_name


class ExportCalls(Calls):
    """Exports of forms."""

    async def export_form_submissions(
        self,
        form_id: str,
        file_format: Literal["csv", "json", "xlsx"],
        date_range: tuple[str, str] | None = None,
        export: ExportFormOptions | None = None,
        **options: Unpack[Options],
    ) -> JobHandle:
        """Exports a form's submissions; `date_range` is its first and last day, such as ("2025-01-01", "2025-12-31")."""
        file_type = enum_value(ExportFormat.items(), "EXPORT_FORMAT_", file_format, "file_format")
        payload = ExportFormSubmissions(form_id=str(form_id), format=file_type, options=export)
        if date_range is not None:
            payload.date_range.start, payload.date_range.end = date_range
        return await self.task(_TASKS["ExportFormSubmissions"], payload, options)
