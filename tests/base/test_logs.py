"""The log: its form, what it hides, where it goes, and what it does when nobody takes it."""

import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from base import log_sink
from base.log_sink import LogSink, RotatedFile
from base.logs import REDACTED, redact
from tests.conftest import until

PROGRAM = """
import logging, sys, warnings
import structlog
from base import logs
from base.settings import load
logs.configure(load(), "sample")
log = structlog.get_logger()
"""


def run(tmp_path: Path, body: str, **environment: str) -> tuple[list[str], list[dict[str, Any]]]:
    """What a process that logs leaves on stderr, and in its file."""
    variables = {"PYTHONPATH": os.pathsep.join(sys.path), "DATA_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + body],
        env={**variables, **environment},
        capture_output=True,
        check=True,
        text=True,
    )
    file = tmp_path / "logs" / "sample.log"
    lines = file.read_text().splitlines() if file.exists() else []
    return done.stderr.splitlines(), [json.loads(line) for line in lines]


def test_lines_are_json_on_stderr_and_in_the_file(tmp_path: Path) -> None:
    body = 'structlog.contextvars.bind_contextvars(request_id="r-1")\nlog.info("started", port=50051)'
    screen, file = run(tmp_path, body)
    assert [json.loads(line) for line in screen] == file
    (line,) = file
    stamp = line.pop("timestamp")
    assert line == {"event": "started", "port": 50051, "level": "info", "process": "sample", "request_id": "r-1"}
    assert stamp.endswith("Z")
    assert len(stamp) == len("2026-01-01T00:00:00.000Z")


def test_text_is_for_people_while_the_file_stays_json(tmp_path: Path) -> None:
    screen, file = run(tmp_path, 'log.info("started", port=50051)', LOG_FORMAT="text")
    assert "started" in screen[0]
    assert not screen[0].startswith("{")
    assert file[0]["port"] == 50051


def test_no_text_can_look_like_a_line_of_its_own_or_steer_a_terminal(tmp_path: Path) -> None:
    body = """
log.info("told\\nFAKE", reason="a\\r\\nFAKE", colour="\\x1b[31mred")
logging.getLogger("lib").warning("of a library\\nFAKE")
"""
    screen, file = run(tmp_path, body, LOG_FORMAT="text")
    assert (len(screen), len(file)) == (2, 2)
    assert all("\x1b" not in line and "FAKE" in line for line in screen)
    screen, _ = run(tmp_path, body, LOG_FORMAT="json")
    assert len(screen) == 2


def test_levels_below_the_configured_one_are_left_out(tmp_path: Path) -> None:
    body = 'log.info("quiet"); log.warning("loud"); logging.getLogger("lib").info("quiet too")'
    _, file = run(tmp_path, body, LOG_LEVEL="warning")
    assert [line["event"] for line in file] == ["loud"]


def test_libraries_and_warnings_log_in_the_same_form(tmp_path: Path) -> None:
    body = """
logging.getLogger("redis.client").error("gone: %s", "redis://:hunter2@host:6379/0")
warnings.warn("old", DeprecationWarning)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed", token="t-1")
    logging.getLogger("lib").exception("failed there")
"""
    _, file = run(tmp_path, body, PYTHONWARNINGS="default")
    by_event = {line["event"].split("\n")[0][:12]: line for line in file}
    gone = by_event["gone: redis:"]
    assert (gone["logger"], gone["level"], gone["process"]) == ("redis.client", "error", "sample")
    assert "hunter2" not in gone["event"]
    assert any(line.get("logger") == "py.warnings" for line in file)
    assert "ZeroDivisionError" in by_event["failed"]["exception"]
    assert by_event["failed"]["token"] == REDACTED
    assert "ZeroDivisionError" in by_event["failed there"]["exception"]


def test_a_folder_that_cannot_be_written_leaves_stderr(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    screen, file = run(tmp_path, 'log.info("started")', LOG_DIR=str(tmp_path / "file" / "below"))
    assert [json.loads(line)["event"] for line in screen] == ["log_file_unavailable", "started"]
    assert file == []


def test_what_was_logged_last_is_there_when_the_process_ends(tmp_path: Path) -> None:
    for ending in ("", "raise SystemExit(0)"):
        _, file = run(tmp_path, f"[log.info('line', number=i) for i in range(2000)]\n{ending}")
        assert [line["number"] for line in file if "number" in line][-2000:] == list(range(2000))


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (
            {"password": "p", "smtp_password": "p", "reset_token": "t"},
            dict.fromkeys(("password", "smtp_password", "reset_token"), REDACTED),
        ),
        ({"Authorization": "Bearer x", "cookie": "c"}, {"Authorization": REDACTED, "cookie": REDACTED}),
        ({"api_key": "k", "jwt_secret": "s"}, {"api_key": REDACTED, "jwt_secret": REDACTED}),
        ({"headers": {"authorization": "b", "host": "h"}}, {"headers": {"authorization": REDACTED, "host": "h"}}),
        ({"url": "rediss://user:pw@host:1/0"}, {"url": f"rediss://{REDACTED}@host:1/0"}),
        ({"event": "got bearer eyJ.x-y_z"}, {"event": f"got Bearer {REDACTED}"}),
        ({"event": "mail to a@b.c", "count": 3}, {"event": "mail to a@b.c", "count": 3}),
    ],
)
def test_secrets_are_blanked(event: dict[str, Any], shown: dict[str, Any]) -> None:
    assert redact(None, "info", dict(event)) == shown


# Rotation


def test_a_file_rotates_at_its_limit_and_keeps_five(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sink, "MAX_FILE_BYTES", 100)
    file = RotatedFile(tmp_path / "p.log")
    for number in range(20):
        file.write(f"{number:59d}\n".encode())
    file.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["p.log", "p.log.1", "p.log.2", "p.log.3", "p.log.4", "p.log.5"]
    assert [int((tmp_path / name).read_text()) for name in names] == [19, 18, 17, 16, 15, 14]


def test_processes_that_share_a_file_lose_no_line_when_it_rotates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_sink, "MAX_FILE_BYTES", 1000)
    files = [RotatedFile(tmp_path / "p.log") for _ in range(3)]
    for number in range(60):
        files[number % 3].write(f"{number:59d}\n".encode())
    written = [int(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted(written) == list(range(60))
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_a_file_that_somebody_removed_is_made_anew(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "p.log")
    file.write(b"one\n")
    (tmp_path / "p.log").unlink()
    file.write(b"two\n")
    assert (tmp_path / "p.log").read_text() == "two\n"


# A pipe that nobody reads


def test_a_full_pipe_holds_nobody_up_and_what_was_dropped_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sink, "MAX_PENDING", 100)
    monkeypatch.setattr(log_sink, "STALLED_SECONDS", 0.05)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while select.select([], [writing], [], 0)[1]:
        os.write(writing, b"x" * 4096)
    sink = LogSink(writing, None)
    began = time.monotonic()
    for number in range(10_000):
        sink.write(b"", f"{number}\n".encode())
    assert time.monotonic() - began < 1
    heard: list[bytes] = []

    def read() -> None:
        while chunk := os.read(reading, 65536):
            heard.append(chunk)

    listener = threading.Thread(target=read)
    listener.start()
    until(lambda: b"log_lines_dropped" in b"".join(heard), what="the drop is told")
    sink.write(b"", b"last\n")
    sink.close()
    os.close(writing)
    listener.join()
    os.close(reading)
    assert b"".join(heard).endswith(b"last\n")


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    sink = LogSink(writing, RotatedFile(tmp_path / "p.log"))
    sink.write(b"kept\n", b"lost\n")
    sink.close()
    os.close(writing)
    assert (tmp_path / "p.log").read_text() == "kept\n"
