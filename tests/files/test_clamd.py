"""Debian's clamd, with a signature of the tests' own: what the stand-in of the other tests claims, on the real one."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from qcollector.jobs.v1.file_pb2 import FileImageProcess, FileScan, FileVirusScan

from base.settings import Settings
from base.storage import StorageRoots
from families.files import handlers as file
from families.files.clamd import NotScannedError
from families.files.scanning import InfectedError, Scanner
from tests.conftest import free_port, listens, until
from tests.files.clamdstandin import MALWARE
from tests.mail.recording import RecordingJob

pytestmark = pytest.mark.system

STREAM_MAX, FILE_MAX = 4_000_000, 2_000_000


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a clamd."""
    folder = tmp_path_factory.mktemp("clamd")
    folder.chmod(0o755)
    (folder / "eicar.ndb").write_text(f"Eicar-Test:0:*:{MALWARE.hex()}\n")
    port = free_port()
    config = folder / "clamd.conf"
    config.write_text(
        f"Foreground yes\nTCPSocket {port}\nTCPAddr 127.0.0.1\nDatabaseDirectory {folder}\nUser root\n"
        f"StreamMaxLength {STREAM_MAX}\nMaxFileSize {FILE_MAX}\nMaxScanSize {FILE_MAX}\n"
    )
    process = subprocess.Popen(["/usr/sbin/clamd", f"--config-file={config}"], stdout=subprocess.DEVNULL)
    until(lambda: listens(port) or process.poll() is not None, seconds=60, every=0.1, what="clamd listens")
    assert process.poll() is None, "clamd ended"
    yield port
    process.terminate()
    process.wait(30)


@pytest.fixture
def scanner(settings: Settings, clamd: int) -> Scanner:
    told = {"clamav_host": "127.0.0.1", "clamav_port": clamd, "clamav_max_bytes": FILE_MAX}
    return Scanner(settings.model_copy(update=told))


async def scanned(path: Path, job: RecordingJob, roots: StorageRoots, scanner: Scanner) -> FileScan:
    return (await file.virus_scan(FileVirusScan(file_path=str(path)), job, roots, scanner)).scan_result


async def test_a_clean_file_is_clean(uploads: Path, job: RecordingJob, roots: StorageRoots, scanner: Scanner) -> None:
    path = uploads / "clean.bin"
    path.write_bytes(bytes(range(256)) * 4000)
    found = await scanned(path, job, roots, scanner)
    assert (found.scanned, found.infected, list(found.threats)) == (True, False, [])
    assert found.version.startswith("ClamAV ")


async def test_malware_is_found_wherever_it_is(
    uploads: Path, job: RecordingJob, roots: StorageRoots, scanner: Scanner
) -> None:
    path = uploads / "bad.bin"
    for content in (MALWARE, bytes(1_500_000) + MALWARE):
        path.write_bytes(content)
        found = await scanned(path, job, roots, scanner)
        assert found.infected
        assert list(found.threats) == ["Eicar-Test.UNOFFICIAL"]


async def test_nothing_is_made_of_an_infected_image(
    picture: Callable[..., Path], job: RecordingJob, roots: StorageRoots, scanner: Scanner
) -> None:
    path = picture("photo.jpg")
    path.write_bytes(path.read_bytes() + MALWARE)
    with pytest.raises(InfectedError, match="Eicar-Test"):
        await file.image_process(FileImageProcess(file_path=str(path)), job, roots, scanner)
    assert not (path.parent / "processed").exists()


async def test_a_file_beyond_clamds_limits_is_not_called_clean(
    uploads: Path, job: RecordingJob, roots: StorageRoots, scanner: Scanner, settings: Settings, clamd: int
) -> None:
    path = uploads / "large.bin"
    path.write_bytes(bytes(20_000_000) + MALWARE)
    with pytest.raises(NotScannedError, match="CLAMAV_MAX_BYTES is 2,000,000"):
        await scanned(path, job, roots, scanner)
    told = {"clamav_host": "127.0.0.1", "clamav_port": clamd, "clamav_max_bytes": 100_000_000}
    with pytest.raises(NotScannedError, match="larger than clamd's StreamMaxLength"):
        await scanned(path, job, roots, Scanner(settings.model_copy(update=told)))


async def test_clamd_itself_calls_clean_what_it_passes_over_which_is_why_there_is_a_limit_here(
    uploads: Path, job: RecordingJob, roots: StorageRoots, scanner: Scanner, settings: Settings, clamd: int
) -> None:
    path = uploads / "passed-over.bin"
    path.write_bytes(bytes(FILE_MAX + 1000) + MALWARE)
    told = {"clamav_host": "127.0.0.1", "clamav_port": clamd, "clamav_max_bytes": STREAM_MAX}
    assert not (await scanned(path, job, roots, Scanner(settings.model_copy(update=told)))).infected
    with pytest.raises(NotScannedError):
        await scanned(path, job, roots, scanner)
