"""What a stack is made of, each by itself."""

import asyncio
import fcntl
import os
import signal
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest

from base.settings import PROJECT
from stack.errors import StackError
from stack.folder import DataFolder
from stack.part import Command, Part, run, tail
from stack.ports import LOOPBACK, free_port, is_free, require_free
from stack.rotation import rotate
from stack.supervisor import Supervisor
from tests.conftest import eventually
from tests.stack.running import runs


def test_ports_that_are_taken_or_given_twice_are_told_together() -> None:
    free = free_port()
    with pytest.raises(StackError, match=r"GRPC_PORT and REST_PORT are both"):
        require_free(LOOPBACK, {"REST_PORT": free, "GRPC_PORT": free})
    assert is_free(LOOPBACK, free)


def test_a_servers_port_and_secret_are_remembered(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with folder.held(say=print):
        port, secret = folder.port("valkey"), folder.secret("valkey")
    again = DataFolder(tmp_path / "data")
    with again.held(say=print):
        assert (again.port("valkey"), again.secret("valkey")) == (port, secret)
        assert again.port("postgres") != port


def test_a_server_gets_no_port_that_another_part_will_listen_on(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with folder.held(say=print):
        before = folder.port("mail")
        folder.keep_off([before])
        assert folder.port("mail") != before


def test_a_folder_that_cannot_be_written_names_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="DATA_DIR"), DataFolder(tmp_path / "file" / "data").held(say=print):
        pass


def test_a_process_of_an_earlier_stack_is_waited_for(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with folder.held(say=print):
        pass
    with (tmp_path / "data/run/members.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stays = "import sys; sys.stdin.read()"
        orphan = subprocess.Popen([sys.executable, "-c", stays], stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
    said: list[str] = []

    def say(text: str) -> None:
        assert runs(orphan.pid)
        said.append(text)
        assert orphan.stdin is not None
        orphan.stdin.close()  # now it ends

    with folder.held(say):
        assert not runs(orphan.pid)
    orphan.wait()
    assert str(orphan.pid) in said[0]


def test_a_log_beyond_measure_is_moved_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    with path.open("a") as writer:
        for text in ("first", "second", "third"):
            writer.write(f"{text}\n")
            writer.flush()
            rotate(path)
        writer.write("last\n")
    assert path.read_text() == "last\n"
    assert [(tmp_path / f"server.log.{number}").read_text() for number in (1, 2, 3)] == [
        "third\n",
        "second\n",
        "first\n",
    ]


async def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no luck today"):
        await run(Command((sys.executable, "-c", "raise SystemExit('no luck today')"), tmp_path / "out"))


def test_only_whole_lines_of_a_long_output_are_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("".join(f"line {number}\n" for number in range(1000)))
    assert tail(tmp_path / "out").startswith("line ")
    assert "line 999" in tail(tmp_path / "out")


class Sleeper(Part):
    """A part that is ready at once and stays."""

    name = "sleeper"

    def __init__(self, output: Path, code: str) -> None:
        self._output = output
        self._code = code

    async def prepare(self) -> Command:
        return Command((sys.executable, "-c", self._code), self._output)

    async def check(self, process: asyncio.subprocess.Process) -> None:
        """Nothing to ask."""


async def test_a_part_that_ignores_its_signal_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    said: list[str] = []
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    part = Sleeper(tmp_path / "out", code)
    supervisor = Supervisor([part], members_lock=-1, grace=-3.5, say=lambda _, text: said.append(text))

    async def body() -> None:
        await eventually(lambda: "up" in (tmp_path / "out").read_text())

    await supervisor.run(body)
    assert "killed" in said[-1]


class Deaf(Sleeper):
    """A part whose check swallows the first cancel, and is never through."""

    def __init__(self, output: Path) -> None:
        super().__init__(output, "import signal; signal.pause()")
        self.asked = asyncio.Event()
        self.cancels = 0

    async def check(self, process: asyncio.subprocess.Process) -> None:
        self.asked.set()
        while self.cancels < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancels += 1
        raise asyncio.CancelledError


async def test_a_stack_that_is_not_ready_ends_when_told_to_though_a_cancel_is_swallowed(tmp_path: Path) -> None:
    part = Deaf(tmp_path / "out")
    supervisor = Supervisor([part], members_lock=-1, grace=0, say=lambda *_: None)

    async def body() -> None:
        raise AssertionError("it was never ready")

    running = asyncio.create_task(supervisor.run(body))
    await part.asked.wait()
    signal.raise_signal(signal.SIGTERM)
    async with asyncio.timeout(4):
        await running
    assert part.cancels == 2


async def test_a_part_that_dies_again_and_again_is_started_ever_later_and_said_ever_less(tmp_path: Path) -> None:
    said: list[str] = []
    part = Sleeper(tmp_path / "out", "pass")
    supervisor = Supervisor([part], members_lock=-1, grace=0, say=lambda _, text: said.append(text))

    async def body() -> None:
        await eventually(lambda: len([text for text in said if "starts again" in text]) == 3)

    await supervisor.run(body)
    pauses = [text.rpartition(" in ")[2] for text in said if "starts again" in text]
    assert pauses == ["0.25 s", "0.5 s", "1 s"]


async def test_the_mail_sink_numbers_on_from_what_it_finds(tmp_path: Path) -> None:
    (tmp_path / "7.eml").write_text("an old one")
    port = free_port()
    sink = subprocess.Popen(
        [sys.executable, "-m", "families.email.mailsink", str(tmp_path), str(port)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    try:
        await eventually(lambda: not is_free(LOOPBACK, port), what="the mail sink listens")
        await asyncio.to_thread(send, port)
        mail = (tmp_path / "8.eml").read_text()
        assert "X-Envelope-To: a@example.com, hidden@example.com" in mail
        assert "Subject: =?utf-8?" in mail or "Grüße" in mail
    finally:
        sink.terminate()
        assert sink.wait(5) == 0


def send(port: int) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "me@example.com", "a@example.com", "Grüße"
    mail.set_content("text")
    with smtplib.SMTP(LOOPBACK, port) as client:
        client.send_message(mail, to_addrs=["a@example.com", "hidden@example.com"])
