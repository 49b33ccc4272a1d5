"""`qjobs` as a process of its own: how it starts, ends, is interrupted, and behaves at a terminal."""

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from testjobs.v1.testjobs_pb2 import Noop

from base.settings import PROJECT
from cli.commands import COMMANDS
from cli.exits import Exit
from tests.cli.conftest import Running, Worker
from tests.conftest import eventually, free_port
from tests.service.certificates import self_signed
from tests.service.conftest import serving, token
from tests.stack.running import environment

WORK = "test:work"
HEAVY = (
    "sqlalchemy",
    "pydantic",
    "taskiq",
    "redis",
    "structlog",
    "protovalidate",
    "rich",
    "yaml",
    "uvloop",
    "joserfc",
    "opentelemetry",
)
CALLS = ("grpc", "google.protobuf", "asyncio")


def told(tmp_path: Path, **more: str | int) -> dict[str, str]:
    bare = {name: value for name, value in environment(tmp_path).items() if not name.startswith("QJOBS_")}
    return {**bare, "QJOBS_TOKEN": token(), **{name: str(value) for name, value in more.items()}}


def at(service: Running, tmp_path: Path) -> dict[str, str]:
    return told(tmp_path, QJOBS_ADDRESS=f"127.0.0.1:{service.service.port}")


async def run(*words: str, env: Mapping[str, str], stdin: bytes = b"") -> tuple[int, str, str]:
    process = await start(*words, env=env)
    out, err = await asyncio.wait_for(process.communicate(stdin), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def start(*words: str, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    pipe = subprocess.PIPE
    command = (sys.executable, "-m", "stack.cli", *words)
    return await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(env), cwd=PROJECT
    )


async def loaded(*words: str, env: Mapping[str, str]) -> set[str]:
    """The modules that a command has imported when it ends."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: sys.stderr.write('\\nLOADED ' + ' '.join(sys.modules)))\n"
        f"sys.argv = ['qjobs', *{list(words)!r}]\n"
        "from stack.cli import main\nmain()\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(env), cwd=PROJECT
    )
    _, err = await asyncio.wait_for(process.communicate(), 60)
    return set(err.decode().rpartition("LOADED ")[2].split())


def test_help_imports_neither_grpc_nor_anything_heavy(tmp_path: Path) -> None:
    async def look() -> None:
        for words in (["--help"], ["job", "enqueue", "--help"], *([name, "--help"] for name in COMMANDS)):
            assert not (await loaded(*words, env=told(tmp_path))).intersection({*HEAVY, *CALLS}), words

    asyncio.run(look())


@pytest.mark.parametrize(
    "words", [("stats",), ("job", "show", WORK, "x"), ("schedule", "list"), ("download", WORK, "x")]
)
async def test_a_call_imports_grpc_and_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    modules = await loaded(*words, env=told(tmp_path, QJOBS_ADDRESS=f"127.0.0.1:{free_port()}"))
    assert "grpc" in modules
    assert not modules.intersection(HEAVY)


async def test_a_command_says_what_is_asked_and_ends_with_its_status(service: Running, tmp_path: Path) -> None:
    env = at(service, tmp_path)
    status, out, err = await run(
        "job", "enqueue", WORK, "noop", "--data", "-", "--id", "x", env=env, stdin=b'{"pad": "p"}'
    )
    assert (status, err) == (0, "")
    assert out.startswith("test:work/x is enqueued")
    status, out, err = await run("job", "show", WORK, "nothing", env=env)
    assert (status, out) == (Exit.NOT_FOUND, "")
    assert err.startswith("qjobs: ")
    assert err.count("\n") == 1


async def test_a_service_that_is_away_is_one_line_with_the_remedy_and_no_traceback(tmp_path: Path) -> None:
    status, out, err = await run("stats", env=told(tmp_path, QJOBS_ADDRESS=f"127.0.0.1:{free_port()}"))
    assert (status, out) == (Exit.UNAVAILABLE, "")
    assert "cannot be reached" in err
    assert "--address" in err
    assert err.count("\n") == 1


async def test_without_a_token_the_remedy_is_told(tmp_path: Path) -> None:
    env = {name: value for name, value in told(tmp_path).items() if name != "QJOBS_TOKEN"}
    status, _, err = await run("stats", env=env)
    assert status == Exit.DENIED
    assert "QJOBS_TOKEN" in err


async def test_ctrl_c_ends_quietly(service: Running, tmp_path: Path) -> None:
    process = await start("queue", "watch", env=at(service, tmp_path))
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 30)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, err) == (Exit.INTERRUPTED, b"")


async def test_a_reader_that_goes_away_ends_it_quietly(service: Running, tmp_path: Path) -> None:
    for _ in range(30):
        await service.admin.enqueue(Noop(pad="x" * 10_000))
    process = await start("job", "list", WORK, "--limit", "0", "-o", "json", env=at(service, tmp_path))
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.read(100), 30)
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    assert process.stderr is not None
    err = await asyncio.wait_for(process.stderr.read(), 30)
    assert (await asyncio.wait_for(process.wait(), 20), err) == (Exit.BROKEN_PIPE, b"")


async def test_tls_and_a_callers_certificate_are_spoken(settings, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "service")
    own, own_key = self_signed(tmp_path, "operator")
    changes = {"grpc_tls_cert": certificate, "grpc_tls_key": key, "grpc_tls_client_ca": own}
    async with serving(settings, **changes) as service:
        place = {"QJOBS_ADDRESS": f"localhost:{service.service.port}", "QJOBS_CA": str(certificate)}
        mine = {"QJOBS_CERT": str(own), "QJOBS_KEY": str(own_key)}
        status, out, err = await run("queue", "list", "-o", "json", env=told(tmp_path, **place, **mine))
        assert (status, err) == (0, "")
        assert WORK in out
        for wrong in (place, {**place, **mine, "QJOBS_CA": str(own)}, {"QJOBS_ADDRESS": place["QJOBS_ADDRESS"]}):
            status, _, err = await run("queue", "list", env=told(tmp_path, **wrong))
            assert status == Exit.UNAVAILABLE
            assert err.count("\n") == 1


async def test_at_a_terminal_a_bar_shows_how_far_a_job_is(service: Running, worker: Worker, tmp_path: Path) -> None:
    job_id = await service.admin.enqueue(Noop())
    env = {**at(service, tmp_path), "TERM": "xterm-256color"}
    terminal = AtTerminal(("job", "watch", WORK, job_id), env, {})
    job = await worker.start()
    await worker.say(job, 40, ("note", "half way"))
    await eventually(lambda: "40%" in terminal.seen, what="the bar")
    await worker.end(job)
    assert await terminal.ended() == 0
    assert "completed" in terminal.seen
    assert "\x1b[" in terminal.seen


@pytest.mark.parametrize(
    ("answer", "status", "left"), [("y\n", 0, 0), ("n\n", Exit.INTERRUPTED, 1), ("\x03", Exit.INTERRUPTED, 1)]
)
async def test_at_a_terminal_a_bulk_action_asks(
    service: Running, tmp_path: Path, answer: str, status: int, left: int
) -> None:
    await service.admin.enqueue(Noop())
    env = {**at(service, tmp_path), "TERM": "xterm", "NO_COLOR": "1"}
    terminal = AtTerminal(("job", "remove", WORK, "--all"), env, {"[y/N]": answer})
    assert await terminal.ended() == status
    assert "Remove 1 job of test:work?" in terminal.seen
    assert "Traceback" not in terminal.seen
    _, out, _ = await run("job", "list", WORK, "-o", "jsonl", env=env)
    assert len(out.splitlines()) == left


async def test_completion_offers_commands_and_the_services_queues(service: Running, tmp_path: Path) -> None:
    env = at(service, tmp_path)
    code = "from stack.cli import main; main()"

    async def completed(*words: str) -> str:
        complete = {
            "_QJOBS_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["qjobs", *words]),
            "COMP_CWORD": str(len(words)),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code), stdout=subprocess.PIPE, env={**env, **complete}, cwd=PROJECT
        )
        return (await process.communicate())[0].decode()

    assert "queue" in await completed("qu")
    assert "test:work" in await completed("queue", "pause", "test")
    assert "noop" in await completed("job", "enqueue", WORK, "no")


AT_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.executable, [sys.executable, '-m', 'stack.cli', *sys.argv[1:]])\n"
)


class AtTerminal:
    """A command at a terminal of its own, where an answer is typed once its question has been read."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], answers: Mapping[str, str]) -> None:
        self.seen = ""
        self._answers = dict(answers)
        self._terminal, side = pty.openpty()
        command = [sys.executable, "-c", AT_TERMINAL, *words]
        self._process = subprocess.Popen(
            command, env=dict(env), cwd=PROJECT, stdin=side, stdout=side, stderr=side, start_new_session=True
        )
        os.close(side)
        self._reading = asyncio.ensure_future(asyncio.to_thread(self._read))

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the end of a terminal
            while data := os.read(self._terminal, 4096):
                self.seen += data.decode("utf-8", "replace")
                for question in [one for one in self._answers if one in self.seen]:
                    os.write(self._terminal, self._answers.pop(question).encode())

    async def ended(self) -> int:
        """Its exit status."""
        await asyncio.wait_for(self._reading, 60)
        os.close(self._terminal)
        return self._process.wait(20)
