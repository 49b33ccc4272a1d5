"""The log of every process: structlog and stdlib lines as JSON or text, to stderr and to a rotated file in LOG_DIR."""

import functools
import logging
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from types import TracebackType
from typing import Any

import msgspec
import structlog
from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer
from structlog.processors import add_log_level, format_exc_info

from base.log_sink import LogSink, RotatedFile
from base.settings import Settings

Event = MutableMapping[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

REDACTED = "•••"
_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|authorization|cookie|api_?key|private_?key|credential", re.IGNORECASE
)
_URL_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BEARER = re.compile(r"(?i)\bbearer\s+[\w.~+/=-]+")

_sink: LogSink | None = None
_takes_finished_lines = False


def configure(settings: Settings, process: str) -> None:
    """Makes this process log as the settings say, to stderr and to `LOG_DIR/<process>.log`.

    Where the log folder cannot be written to, stderr says so and is all there is. A thread of its own writes the
    lines, so that neither a slow disk nor a full pipe holds up the event loop.
    """
    global _sink, _takes_finished_lines  # noqa: PLW0603  (one log for each process, as in the logging module itself)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    path = settings.root("log") / f"{process}.log"
    file, problem = RotatedFile.open(path)
    if _sink is not None:
        _sink.close()
    _sink = LogSink(sys.stderr.fileno(), file)
    prepare = _chain(process)
    text = _as_text(settings)
    write = _writer(_sink, text=text)
    _takes_finished_lines = level <= logging.INFO and not text

    structlog.configure(
        processors=[merge_contextvars, add_log_level, *prepare, write],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Output(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge(prepare, write))
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    if problem:
        structlog.get_logger().warning("log_file_unavailable", path=str(path), reason=problem)


def line_writer() -> Callable[[bytes], None] | None:
    """Takes lines that are finished JSON, newline included, past structlog's processors.

    It is for what is logged at level info thousands of times a second. None where such lines have to take the long way,
    because the log is text, or leaves out that level.
    """
    sink = _sink
    if sink is None or not _takes_finished_lines:
        return None
    return lambda line: sink.write(line, line)


def flush() -> None:
    """Returns once everything logged so far is written."""
    if _sink is not None:
        _sink.flush()


def _as_text(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return sys.stderr.isatty()
    return settings.log_format == "text"


def _chain(process: str) -> list[Callable[[Any, str, Event], Event]]:
    def add_process(_logger: Any, _method: str, event: Event) -> Event:
        event["process"] = process
        return event

    return [add_process, add_timestamp, format_exc_info, redact]


def add_timestamp(_logger: Any, _method: str, event: Event) -> Event:
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    event["timestamp"] = f"{_second(seconds)}.{milliseconds:03d}Z"
    return event


@functools.lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    """Formatting a time is what costs most in a line, and most lines share their second with the one before."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def redact(_logger: Any, _method: str, event: Event) -> Event:
    """Blanks the values of keys that name a secret, logins in addresses, and bearer tokens in texts."""
    for key, value in event.items():
        if _names_secret(key):
            event[key] = REDACTED
        elif isinstance(value, str):
            event[key] = redacted(value)
        elif isinstance(value, dict):
            event[key] = redact(None, "", dict(value))
    return event


@functools.lru_cache(maxsize=4096)
def _names_secret(key: str) -> bool:
    return _SECRET_NAME.search(key) is not None


def redacted(text: str) -> str:
    """The text without logins in addresses and without bearer tokens."""
    if "@" in text and "://" in text:
        text = _URL_LOGIN.sub(f"{REDACTED}@", text)
    if "earer " in text:
        text = _BEARER.sub(f"Bearer {REDACTED}", text)
    return text


def _writer(sink: LogSink, *, text: bool) -> Callable[[Any, str, Event], str]:
    """The last processor. The file always gets JSON; stderr gets text where that was asked for."""
    encode = msgspec.json.Encoder(enc_hook=repr).encode
    console = ConsoleRenderer(colors=sys.stderr.isatty()) if text else None

    def write(logger: Any, method: str, event: Event) -> str:
        line = encode(event) + b"\n"
        sink.write(line, f"{console(logger, method, _printable(event))}\n".encode() if console else line)
        return ""

    return write


def _printable(event: Event) -> Event:
    """Escapes what would break a line, or steer the terminal: nobody's text looks like a line of its own.

    Traces are ours, and have lines.
    """
    return {
        key: _CONTROL.sub(_escaped, value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


class _Output:
    """What structlog calls last: the line is written by then."""

    def msg(self, _line: str) -> None:
        """Nothing is left to do."""

    debug = info = warning = error = critical = exception = msg


class _Bridge(logging.Handler):
    """Gives the lines of the stdlib's loggers, and so of all libraries, the same form and place."""

    def __init__(
        self, prepare: list[Callable[[Any, str, Event], Event]], write: Callable[[Any, str, Event], str]
    ) -> None:
        super().__init__()
        self._prepare = prepare
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: Event = {"event": record.getMessage(), "logger": record.name, "level": record.levelname.lower()}
            if record.exc_info and record.exc_info[0] is not None:
                event["exc_info"] = record.exc_info
            event = merge_contextvars(None, "", event)
            for processor in self._prepare:
                event = processor(None, "", event)
            self._write(None, "", event)
        except Exception:  # noqa: BLE001  (logging must not break its caller; the handler's own way reports it)
            self.handleError(record)
