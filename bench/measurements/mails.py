"""Mails a second: one batch of a template to many readers, from the job's start to the last mail's taking."""

import json
import re
import sys
from pathlib import Path
from typing import Final

from google.protobuf.struct_pb2 import Struct
from qcollector.jobs.v1.email_pb2 import EmailBatch, EmailBatchOptions, EmailSend

from bench import node
from bench.jobs import run_job
from bench.processes import Processes, ProgramFailedError
from bench.run import Figures, Run
from families.email.rendering import Surroundings, render
from families.email.template_files import OWN_FOLDER
from stack.ports import free_port

MAILS: Final = 2000
TEMPLATE: Final = "form-submission"
VARIABLES: Final = {
    "formTitle": "Kundenzufriedenheit & <Qualität> #",
    "submissionId": "f0000000-0000-4000-8000-#",
    "submittedBy": "Łukasz Żak #",
    "submittedAt": "24 November 2026, 09:00",
    "formVersion": "3",
    "hasAttachments": True,
}
"""A reader's number takes the place of each "#"."""


async def measure(run: Run) -> Figures:
    figures: Figures = {}
    folder = run.place("sink")
    folder.mkdir()
    port = free_port()
    async with Processes(folder) as processes:
        processes.environment["SINK_PORT"] = str(port)
        await processes.start("sink", sys.executable, "-m", "bench.sink", ready="ready")
        figures |= await _own(run, port)
        if node.has("nodemailer"):
            figures |= await _peer(folder, processes)
    return figures


async def _own(run: Run, port: int) -> Figures:
    batch = EmailBatch(emails=map(_mail, range(MAILS)), options=EmailBatchOptions(batch_size=100, delay=0))
    async with run.own("mails", SMTP_HOST="127.0.0.1", SMTP_PORT=str(port), SMTP_STARTTLS="never") as own:
        ran = await run_job(own, batch)
    if ran.result.successful != MAILS:
        raise ProgramFailedError(f"{ran.result.successful} of {MAILS} mails went out")
    return _figures("own", MAILS / ran.seconds, ran.cpu, ran.megabytes)


def _mail(number: int) -> EmailSend:
    data = Struct()
    data.update(json.loads(json.dumps(VARIABLES).replace("#", str(number))))
    return EmailSend(to=[f"reader{number}@example.com"], template=TEMPLATE, data=data)


async def _peer(folder: Path, processes: Processes) -> Figures:
    _write_template(folder)
    processes.environment["PEER_VARIABLES"] = json.dumps(VARIABLES)
    answer = await processes.run(*node.program("nodemailer"), folder, str(MAILS))
    return _figures("nodemailer", answer["rate"], answer["cpu"], answer["megabytes"])


def _figures(system: str, rate: float, cpu: float, megabytes: float) -> Figures:
    return {
        f"{system}.mails_rate": rate,
        f"{system}.mails_cpu": cpu * 1e6 / MAILS,
        f"{system}.mails_mb": megabytes,
    }


def _write_template(folder: Path) -> None:
    """The same mail as Handlebars: what our template becomes, styles inlined, with marks where values stand."""
    marks = {name: f"MARK-{name}-MARK" for name in VARIABLES}
    around = Surroundings(OWN_FOLDER, "en", "UTC", "http://localhost:5000")
    rendered = render(around, TEMPLATE, marks)
    parts = {"mail.html.hbs": rendered.html, "mail.txt.hbs": rendered.text, "subject.hbs": rendered.subject}
    for file, text in parts.items():
        (folder / file).write_text(re.sub(r"MARK-(\w+)-MARK", r"{{\1}}", text))
