"""Shows what came out: the mails that arrived, and the queues' statistics."""

import email
from collections.abc import Sequence
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from qcollector.jobs.v1.queue_pb2 import QueueStats
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

LINES_SHOWN: Final = 8


def mails_in(outbox: Path) -> list[EmailMessage]:
    """The mails that arrived, in order."""
    paths = sorted(outbox.glob("*.eml"), key=lambda path: int(path.stem))
    return [email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]


def show_mails(console: Console, mails: Sequence[EmailMessage]) -> None:
    """All of them in a table, and how the text of the first begins."""
    table = Table(title=f"{len(mails)} mails arrived", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("From", "To", "Subject"):
        table.add_column(heading, no_wrap=True)
    for mail in mails:
        table.add_row(str(mail["from"]), str(mail["to"]), str(mail["subject"]))
    console.print(table)
    if mails:
        console.print(
            "The first begins:\n", *(f"    {line}\n" for line in _first_lines(mails[0])), sep="", markup=False
        )


def _first_lines(mail: EmailMessage) -> list[str]:
    part = mail.get_body(preferencelist=("plain", "html"))
    text = str(part.get_content()) if part else ""
    return [line for line in text.splitlines() if line.strip()][:LINES_SHOWN]


def show_stats(console: Console, queues: Sequence[QueueStats]) -> None:
    """One line for each queue."""
    table = Table(title="Queues, with median times in milliseconds", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("Queue", no_wrap=True)
    for heading in ("Waiting", "Active", "Completed", "Failed", "Wait", "Run"):
        table.add_column(heading, justify="right", no_wrap=True)
    for queue in queues:
        counts = queue.counts
        numbers = (counts.waiting, counts.active, counts.completed, counts.failed)
        table.add_row(queue.queue_name, *map(str, numbers), f"{queue.wait_ms.p50:.1f}", f"{queue.run_ms.p50:.1f}")
    console.print(table)
