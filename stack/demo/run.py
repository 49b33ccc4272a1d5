"""`qjobs demo`: sample jobs on a stack of their own, on free ports and with data that is thrown away."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

import aiohttp
from grpc import aio
from qcollector.jobs.v1.job_pb2 import Job
from rich.console import Console

from base.plugins import constants
from base.settings import Settings, load, settings_class
from stack.demo.gateway import Gateway
from stack.demo.progress import Bars, Display, Lines, bars
from stack.demo.report import mails_in, show_mails, show_stats
from stack.demo.sample import Sample
from stack.errors import StackError
from stack.folder import DataFolder
from stack.plan import Plan, plan
from stack.ports import free_port
from stack.up import development_token, say, supervisor

TOKEN_SECONDS: Final = 3600


def demo() -> None:
    """Runs all samples and shows what came out.

    Raises:
      StackError: something did not come out as it should; the logs are kept.
    """
    home = Path(tempfile.mkdtemp(prefix="qjobs-demo-"))
    home.chmod(0o711)  # as DataFolder makes it
    settings = _own_settings(home)
    folder = DataFolder(home)
    console = Console()
    problems = ["it was stopped before its end"]
    try:
        with folder.held(say=lambda text: say("stack", text)):
            stack = plan(settings, folder, workers=1)

            async def body() -> None:
                problems[:] = await _run_samples(stack, folder, console)

            asyncio.run(supervisor(stack, folder).run(body))
    except BaseException:
        console.print(f"The logs are kept in {home}.")
        raise
    if problems:
        raise StackError("\n".join(["The demonstration failed:", *problems, f"The logs are kept in {home}."]))
    shutil.rmtree(home)
    console.print("Everything came out as it should. `make up` starts a stack that stays.")


def samples(settings: Settings) -> list[Sample]:
    """One after the other, so that each can be seen: those of the families, and of the plugins that JOB_PLUGINS names."""
    return [sample for each in constants("demo", "SAMPLES", settings.job_plugins) for sample in each]


def _own_settings(home: Path) -> Settings:
    """Settings of its own: no mail of a demonstration may leave by a server that the environment names."""
    for name in settings_class().model_fields.keys() - {"job_plugins"}:
        os.environ.pop(name.upper(), None)
    ports: list[int] = []
    for name in ("REST_PORT", "GRPC_PORT", "ENVOY_ADMIN_PORT"):
        ports.append(free_port(avoid=ports))
        os.environ[name] = str(ports[-1])
    os.environ |= {"DATA_DIR": str(home), "EMAIL_FROM": "no-reply@example.com", "METRICS_PORT": "0"}
    return load()


async def _run_samples(stack: Plan, folder: DataFolder, console: Console) -> list[str]:
    """What is not as it should be."""
    token = development_token(stack, TOKEN_SECONDS)
    problems: list[str] = []
    console.print()
    async with Gateway.open(stack.settings, token) as gateway:
        if console.is_terminal:
            with bars(console) as progress:
                problems += await _follow_all(stack.settings, gateway, Bars(progress))
        else:
            problems += await _follow_all(stack.settings, gateway, Lines(console))
        mails = mails_in(folder.outbox)
        console.print()
        show_mails(console, mails)
        show_stats(console, await gateway.stats())
    expected = sum(sample.mails for sample in samples(stack.settings))
    if len(mails) != expected:
        problems.append(f"{len(mails)} mails arrived, not {expected}")
    return problems


async def _follow_all(settings: Settings, gateway: Gateway, display: Display) -> list[str]:
    problems = []
    for sample in samples(settings):
        try:
            job = await _follow(sample, gateway, display)
            problems += [f"{sample.title}: {problem}" for problem in sample.problems(job)]
        except (aio.AioRpcError, aiohttp.ClientError) as error:
            problems.append(f"{sample.title}: {error}")
    return problems


async def _follow(sample: Sample, gateway: Gateway, display: Display) -> Job:
    """The job as its last event has it."""
    job = Job()
    enqueued = await sample.enqueue(gateway)
    async for event in sample.follow(gateway, enqueued):
        if event.HasField("snapshot"):
            job = event.snapshot.job
        elif event.HasField("end"):
            job = event.end.job
        display.show(sample.title, event)
    return job
