"""Two callers who name one place for their exports have a file each."""

from pathlib import Path

from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportCsvResult
from qcollector.jobs.v1.job_pb2 import Caller

from tests.exports.conftest import QUEUE, Desk


async def test_an_export_never_replaces_another_callers(desk: Desk) -> None:
    payload = ExportCsv(query={"model": "Form"}, output_path="exports/shared.csv")
    first = (await desk.export(payload, Caller(id="a", role="service"))).metadata
    content = Path(first.file_path).read_bytes()
    job_id = await desk.enqueue(
        ExportCsv(query={"model": "User"}, output_path="exports/shared.csv"), Caller(id="b", role="service")
    )
    record = await desk.end(job_id)
    second = ExportCsvResult.FromString(record.result).metadata
    assert first.file_name == "shared.csv"
    assert second.file_name.startswith("shared-")
    assert Path(second.file_path).name == second.file_name
    assert Path(first.file_path).read_bytes() == content
    told = await desk.inspection.logs(QUEUE, job_id)
    assert told is not None
    assert any(second.file_path in line.message for line in told[0])
    again = (await desk.export(payload, Caller(id="a", role="service"))).metadata
    assert again.file_path == first.file_path
