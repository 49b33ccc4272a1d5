"""The handler of greetings."""

import hashlib
from typing import Annotated

from taskiq import TaskiqDepends

from greetings.album import Album, album
from greetings.settings import GreetingSettings
from greetings.v1.greetings_pb2 import Greet, Greeted
from workers.context import JobContext
from workers.handlers import handles


@handles(Greet)
async def greet(payload: Greet, job: JobContext, book: Annotated[Album, TaskiqDepends(album)]) -> Greeted:
    settings = GreetingSettings.of(job.settings)
    text = f"{settings.greeting_word} {payload.name}"[: payload.style.width or None]
    file = settings.root("temp") / f"{job.job_id}.txt"
    file.write_text(text, "utf-8")
    book.counts[payload.name] += 1
    return Greeted(text=text, file_path=str(file), size=len(text), sha256=hashlib.sha256(text.encode()).hexdigest())
