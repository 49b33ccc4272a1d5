"""What becomes of clean, infected and unscannable files. The scanner here is a stand-in; test_clamd.py has the real one."""

import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from qcollector.jobs.v1.file_pb2 import FileImageProcess, FileVirusScan, FileVirusScanResult

from base.settings import Settings
from base.storage import StorageRoots
from families.files import handlers as file
from families.files.clamd import NotScannedError, ScannerAwayError
from families.files.scanning import InfectedError, Scanner
from tests.conftest import free_port
from tests.files.clamdstandin import MALWARE, VERSION, ClamdStandIn
from tests.mail.recording import RecordingJob
from workers.outcomes import FailForGood

Scan = Callable[..., Awaitable[FileVirusScanResult]]


@pytest.fixture
async def clamd() -> AsyncIterator[ClamdStandIn]:
    running = await ClamdStandIn().start()
    yield running
    await running.stop()


@pytest.fixture
def scanner(settings: Settings, clamd: ClamdStandIn) -> Scanner:
    return Scanner(settings.model_copy(update={"clamav_host": "127.0.0.1", "clamav_port": clamd.port}))


@pytest.fixture
def scan(job: RecordingJob, roots: StorageRoots, scanner: Scanner) -> Scan:
    async def run(path: Path, *, quarantine: bool = False, by: Scanner = scanner) -> FileVirusScanResult:
        payload = FileVirusScan(file_path=str(path), scan_options={"quarantine": quarantine})
        return await file.virus_scan(payload, job, roots, by)

    return run


async def test_a_clean_file_is_scanned_whole(scan: Scan, clamd: ClamdStandIn, uploads: Path) -> None:
    path = uploads / "big.bin"
    path.write_bytes(bytes(range(256)) * 4096)
    result = await scan(path, quarantine=True)
    assert clamd.streams == [path.read_bytes()]
    assert result.success
    found = result.scan_result
    assert (found.scanned, found.infected, list(found.threats)) == (True, False, [])
    assert (found.engine, found.version, found.file_size) == ("clamav", VERSION, 1024 * 1024)
    assert not found.suspicious
    assert found.scan_time_ms > 0
    assert path.exists()


async def test_an_infected_file_is_named_and_stays_unless_told_otherwise(scan: Scan, uploads: Path) -> None:
    path = uploads / "invoice.pdf.exe"
    path.write_bytes(MALWARE)
    result = await scan(path)
    assert result.scan_result.infected
    assert list(result.scan_result.threats) == ["Eicar-Signature"]
    assert result.scan_result.suspicious
    assert not result.quarantine_path
    assert path.exists()


@pytest.mark.parametrize("name", ["bad.bin", "ก" * 80 + ".bin"])
async def test_quarantine_moves_an_infected_file_out_of_reach(
    scan: Scan, uploads: Path, job: RecordingJob, name: str
) -> None:
    path = uploads / name
    path.write_bytes(MALWARE)
    result = await scan(path, quarantine=True)
    kept = Path(result.quarantine_path)
    assert kept.parent == uploads / "quarantine"
    assert kept.read_bytes() == MALWARE
    assert stat.S_IMODE(kept.stat().st_mode) == 0o400
    assert not path.exists()


async def test_a_start_after_the_move_answers_what_the_first_would_have(
    scan: Scan, uploads: Path, job: RecordingJob, roots: StorageRoots, scanner: Scanner
) -> None:
    path = uploads / "bad.bin"
    path.write_bytes(MALWARE)
    first = await scan(path, quarantine=True)
    payload = FileVirusScan(file_path=str(path), scan_options={"quarantine": True})
    again = await file.virus_scan(payload, job.restarted(), roots, scanner)
    assert again.quarantine_path == first.quarantine_path
    assert again.scan_result.infected


async def test_without_a_scanner_a_scan_fails_and_says_what_to_set(
    scan: Scan, uploads: Path, no_scanner: Scanner
) -> None:
    path = uploads / "a.bin"
    path.write_bytes(b"x")
    with pytest.raises(FailForGood, match="not scanned: there is no scanner; set CLAMAV_HOST"):
        await scan(path, by=no_scanner)


async def test_a_scanner_that_is_away_makes_the_job_try_again(scan: Scan, uploads: Path, settings: Settings) -> None:
    path = uploads / "a.bin"
    path.write_bytes(b"x")
    away = Scanner(settings.model_copy(update={"clamav_host": "127.0.0.1", "clamav_port": free_port()}))
    with pytest.raises(ScannerAwayError, match="no clamd at CLAMAV_HOST"):
        await scan(path, by=away)


async def test_a_scanner_that_breaks_off_makes_the_job_try_again(
    scan: Scan, uploads: Path, clamd: ClamdStandIn
) -> None:
    path = uploads / "a.bin"
    path.write_bytes(b"x" * 5_000_000)
    clamd.break_off = True
    with pytest.raises(ScannerAwayError, match="broke off"):
        await scan(path)


async def test_a_file_beyond_clamds_own_limit_is_not_called_clean(
    scan: Scan, uploads: Path, clamd: ClamdStandIn
) -> None:
    path = uploads / "a.bin"
    path.write_bytes(b"x" * 5_000_000)
    clamd.stream_max_length = 1_000_000
    with pytest.raises(NotScannedError, match="larger than clamd's StreamMaxLength"):
        await scan(path)


async def test_a_file_beyond_the_setting_is_not_even_sent(
    scan: Scan, uploads: Path, clamd: ClamdStandIn, settings: Settings
) -> None:
    path = uploads / "a.bin"
    path.write_bytes(b"x" * 2000)
    told = {"clamav_host": "127.0.0.1", "clamav_port": clamd.port, "clamav_max_bytes": 1999}
    with pytest.raises(NotScannedError, match="not scanned: the file has 2,000 bytes, CLAMAV_MAX_BYTES is 1,999"):
        await scan(path, by=Scanner(settings.model_copy(update=told)))
    assert clamd.streams == []


@pytest.mark.parametrize(
    "answer",
    [
        "stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
        "stream: Can't allocate memory ERROR",
        "",
        "OK, more or less",
    ],
)
async def test_only_the_word_ok_means_clean(scan: Scan, uploads: Path, clamd: ClamdStandIn, answer: str) -> None:
    path = uploads / "a.bin"
    path.write_bytes(b"x")
    clamd.answer = answer
    with pytest.raises(NotScannedError, match="not scanned"):
        await scan(path)


async def test_images_are_scanned_before_they_are_processed(
    scan: Scan,
    picture: Callable[..., Path],
    job: RecordingJob,
    roots: StorageRoots,
    scanner: Scanner,
    clamd: ClamdStandIn,
) -> None:
    path = picture("photo.jpg")
    result = await file.image_process(FileImageProcess(file_path=str(path)), job, roots, scanner)
    assert clamd.streams == [path.read_bytes()]
    assert result.scan.scanned
    assert result.results


async def test_nothing_is_made_of_an_infected_image(
    picture: Callable[..., Path], job: RecordingJob, roots: StorageRoots, scanner: Scanner
) -> None:
    path = picture("photo.jpg")
    path.write_bytes(path.read_bytes() + MALWARE)
    with pytest.raises(InfectedError, match=r"photo\.jpg: is infected \(Eicar-Signature\)"):
        await file.image_process(FileImageProcess(file_path=str(path)), job, roots, scanner)
    assert not (path.parent / "processed").exists()
