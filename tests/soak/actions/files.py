"""Jobs that make files, and callers who fetch them: whole, or until they have enough."""

import asyncio
from typing import Any

import grpc

from client.handle import JobFailedError, JobHandle
from families.database.sample_data.ids import form_id
from tests.soak.callers import Caller, action

FORM = str(form_id(1))
PATIENCE = 40.0
IMAGE = "uploads/soak.png"
"""Which the soak puts there."""


async def _made(caller: Caller, job: JobHandle) -> bool:
    """Whether the job has made its file within the caller's patience, and stands yet."""
    try:
        with caller.bearing(grpc.StatusCode.NOT_FOUND):
            await job.wait(PATIENCE)
            return True
    except (JobFailedError, TimeoutError) as error:
        caller.ledger.refused[type(error).__name__] += 1
    return False


@action(0.4)
async def an_export(caller: Caller) -> None:
    job = await caller.jobs.export_form_submissions(
        FORM, caller.chance.choice(["csv", "json", "xlsx"]), request_id=caller.request_id()
    )
    if not await _made(caller, job):
        return
    path = f"/api/v1/queue/{job.queue}/jobs/{job.job_id}/result"
    whole = caller.chance.random() < 0.6
    for _ in range(3):
        async with caller.rest.get(path) as answer:
            assert answer.status in {200, 404}, await answer.text()
            await (answer.read() if whole else answer.content.read(100))


@action(0.2)
async def an_export_that_is_cancelled(caller: Caller) -> None:
    job = await caller.jobs.export_form_submissions(FORM, "xlsx", request_id=caller.request_id())
    await asyncio.sleep(caller.chance.uniform(0, 0.5))
    with caller.bearing(grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND):
        await job.cancel()


@action(0.2)
async def an_image(caller: Caller) -> None:
    job = await caller.jobs.process_image_upload(IMAGE, "uploads/soaked", request_id=caller.request_id())
    await _made(caller, job)


@action(0.1)
async def an_archive(caller: Caller) -> None:
    data: dict[str, Any] = {"inputFiles": [IMAGE], "outputDir": "uploads/soaked"}
    body = {"queueName": "file:process", "jobType": "compress", "data": data, "requestId": caller.request_id()}
    answer = await caller.call("POST", "queue/jobs", body)
    await _made(caller, caller.jobs.job("file:process", answer["jobId"]))
