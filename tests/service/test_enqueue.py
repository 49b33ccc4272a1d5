"""Enqueueing: by typed payload and by `data`, one by one, in batches and in streams."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.email_pb2 import EmailUser, EmailWelcome
from qcollector.jobs.v1.enqueue_pb2 import BatchEnqueueJobsRequest, EnqueueJobRequest, StreamEnqueueJobsRequest
from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.processor_service_pb2 import (
    SendPasswordResetEmailRequest,
    SendSubmissionNotificationRequest,
    SendWelcomeEmailRequest,
)
from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest, ListQueueStatsRequest

from base.settings import Settings
from tests.conftest import eventually

from .conftest import WORK, Caller, Noop, Running, Script, Secret, custom, refusal_in, refused, serving


def request(**fields: Any) -> EnqueueJobRequest:
    """As a REST caller's JSON body becomes it."""
    return ParseDict(fields, EnqueueJobRequest())


def welcome(**fields: Any) -> EnqueueJobRequest:
    body = {"queueName": "email:send", "jobType": "welcome", "data": {"user": {"id": 1, "email": "u@example.com"}}}
    return request(**{**body, **fields})


async def stored(service: Running) -> int:
    queues = (await service.admin.jobs.ListQueueStats(ListQueueStatsRequest())).queues
    return sum(queue.counts.waiting + queue.counts.delayed for queue in queues)


@pytest.mark.families
async def test_the_documented_example_answers_the_job_and_the_options_in_force(service: Running) -> None:
    answer = await service.app.jobs.EnqueueJob(welcome(options={"priority": 5, "delay": 0}))
    assert (answer.queue_name, answer.job_type, answer.state) == ("email:send", "welcome", JobState.JOB_STATE_WAITING)
    assert (answer.duplicate, answer.options.job_id) == (False, answer.job_id)
    assert abs(answer.create_time.seconds - time.time()) < 60
    assert (answer.options.priority, answer.options.attempts, answer.options.timeout) == (5, 3, 120_000)
    assert (answer.options.backoff.type, answer.options.backoff.delay) == ("exponential", 2000)
    job = (await service.app.jobs.GetJob(GetJobRequest(queue_name="email:send", job_id=answer.job_id))).job
    assert job.payload.email_welcome.user == EmailUser(id="1", email="u@example.com")
    assert job.options == answer.options


@pytest.mark.families
async def test_typed_payloads_and_data_make_the_same_job(service: Running) -> None:
    typed = EnqueueJobRequest(
        payload=JobPayload(email_welcome=EmailWelcome(user=EmailUser(id="1", email="u@example.com"))),
        options={"job_id": "twin"},
    )
    first = await service.app.jobs.EnqueueJob(typed)
    second = await service.app.jobs.EnqueueJob(welcome(options={"jobId": "twin"}))
    assert (first.duplicate, second.duplicate, second.job_id) == (False, True, "twin")


@pytest.mark.families
async def test_a_delayed_job_says_when_it_is_due(service: Running) -> None:
    answer = await service.app.jobs.EnqueueJob(welcome(options={"delay": 5000}))
    assert answer.state == JobState.JOB_STATE_DELAYED
    job = (await service.app.jobs.GetJob(GetJobRequest(queue_name="email:send", job_id=answer.job_id))).job
    assert job.run_time.ToMilliseconds() - job.create_time.ToMilliseconds() == 5000


FAR = Timestamp(seconds=2**62)
WRONG: list[tuple[str, EnqueueJobRequest, list[str]]] = [
    ("neither payload nor names", request(), ["queueName", "jobType"]),
    ("no type", request(queueName=WORK), ["jobType"]),
    ("unknown field in data", welcome(data={"user": {"email": "u@example.com", "mail": 1}}), ["data.user.mail"]),
    ("missing in data", welcome(data={}), ["data.user"]),
    ("wrong kind in data", welcome(data={"user": "u@example.com"}), ["data.user"]),
    ("no address in data", welcome(data={"user": {"email": "nobody"}}), ["data.user.email"]),
    ("oversized in data", welcome(data={"user": {"email": "u@e.com", "username": "x" * 256}}), ["data.user.username"]),
    (
        "two at once",
        welcome(data={"user": {"email": "no", "username": "x" * 256}}),
        ["data.user.email", "data.user.username"],
    ),
    ("negative delay", welcome(options={"delay": -1}), ["options.delay"]),
    ("delay without end", welcome(options={"delay": "Infinity"}), ["options.delay"]),
    ("delay that is no number", welcome(options={"delay": "NaN"}), ["options.delay"]),
    ("negative attempts", welcome(options={"attempts": -1}), ["options.attempts"]),
    ("too many attempts", welcome(options={"attempts": 101}), ["options.attempts"]),
    ("negative timeout", welcome(options={"timeout": -5}), ["options.timeout"]),
    ("priority out of range", welcome(options={"priority": 1001}), ["options.priority"]),
    ("unknown backoff", welcome(options={"backoff": {"type": "linear"}}), ["options.backoff.type"]),
    ("negative backoff", welcome(options={"backoff": {"delay": -1}}), ["options.backoff.delay"]),
    ("job id with a colon", welcome(options={"jobId": "a:b"}), ["options.jobId"]),
    ("job id too long", welcome(options={"jobId": "a" * 129}), ["options.jobId"]),
    ("reserved job id", welcome(options={"jobId": "repeat-x"}), ["options.jobId"]),
    ("delay and runAt", welcome(options={"delay": 1, "runAt": "2031-01-01T00:00:00Z"}), ["options"]),
    ("runAt too far", welcome(options={"runAt": "9999-01-01T00:00:00Z"}), ["options.runAt"]),
    ("expired already", welcome(options={"expireAt": "2001-01-01T00:00:00Z"}), ["options.expireAt"]),
    ("runAt beyond time", EnqueueJobRequest(payload=custom(Noop()), options={"run_at": FAR}), ["options.runAt"]),
    (
        "expireAt beyond time",
        EnqueueJobRequest(payload=custom(Noop()), options={"expire_at": FAR}),
        ["options.expireAt"],
    ),
    ("queue name too long", request(queueName="q" * 129, jobType="noop"), ["queueName"]),
    (
        "typed, no address",
        EnqueueJobRequest(payload={"email_welcome": {"user": {"email": "no"}}}),
        ["payload.emailWelcome.user.email"],
    ),
    ("custom, broken rule", EnqueueJobRequest(payload=custom(Script())), ["payload.custom.steps"]),
    (
        "custom, no bytes of it",
        EnqueueJobRequest(payload={"custom": {"type_url": "t/testjobs.v1.Noop", "value": b"\xff"}}),
        ["payload.custom"],
    ),
    ("payload and data", EnqueueJobRequest(payload=custom(Noop()), data={}), ["data"]),
    ("payload of another queue", EnqueueJobRequest(queue_name="email:send", payload=custom(Noop())), ["queueName"]),
    ("payload of another type", EnqueueJobRequest(job_type="script", payload=custom(Noop())), ["jobType"]),
    ("the mask as a secret", EnqueueJobRequest(payload=custom(Secret(token="•••"))), ["payload.custom.token"]),
]


@pytest.mark.families
@pytest.mark.parametrize(("wrong", "fields"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
async def test_a_wrong_request_names_its_fields(service: Running, wrong: EnqueueJobRequest, fields: list[str]) -> None:
    """Alone, in a batch and in a stream alike, and nothing is stored."""
    alone = await refused(service.admin.jobs.EnqueueJob(wrong))
    assert (alone.code, alone.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    assert list(dict.fromkeys(alone.fields)) == fields
    assert all(violation.reason and violation.description for violation in alone.violations)
    batch = await service.admin.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=[wrong]))
    assert refusal_in(batch.results[0].error).fields == alone.fields
    stream = service.admin.jobs.StreamEnqueueJobs(iter([StreamEnqueueJobsRequest(job=wrong)]))
    assert refusal_in((await stream.read()).error).fields == alone.fields
    assert await stored(service) == 0


@pytest.mark.families
@pytest.mark.parametrize(
    ("wrong", "code", "reason"),
    [
        (request(queueName="nope", jobType="welcome"), "NOT_FOUND", "QUEUE_UNKNOWN"),
        (request(queueName="email:send", jobType="nope"), "INVALID_ARGUMENT", "JOB_TYPE_UNKNOWN"),
        (EnqueueJobRequest(payload={"custom": {"type_url": "t/no.Such"}}), "INVALID_ARGUMENT", "JOB_TYPE_UNKNOWN"),
        (EnqueueJobRequest(payload=custom(Noop(pad="x" * 1_100_000))), "INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_what_does_not_exist_or_fit_is_said(
    service: Running, wrong: EnqueueJobRequest, code: str, reason: str
) -> None:
    refusal = await refused(service.admin.jobs.EnqueueJob(wrong))
    assert (refusal.code.name, refusal.reason) == (code, reason)
    assert refusal.metadata


async def test_the_same_id_payload_and_caller_is_the_same_job(service: Running) -> None:
    again = EnqueueJobRequest(payload=custom(Noop(pad="a")), options={"job_id": "order-17"})
    answers = await asyncio.gather(*(service.app.jobs.EnqueueJob(again) for _ in range(10)))
    assert {answer.job_id for answer in answers} == {"order-17"}
    assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 9
    assert await stored(service) == 1


async def test_the_same_id_for_anything_else_is_a_conflict(service: Running) -> None:
    await service.app.enqueue(Noop(pad="a"), job_id="order-17")
    other_payload = EnqueueJobRequest(payload=custom(Noop(pad="b")), options={"job_id": "order-17"})
    same = EnqueueJobRequest(payload=custom(Noop(pad="a")), options={"job_id": "order-17"})
    for call in (service.app.jobs.EnqueueJob(other_payload), service.admin.jobs.EnqueueJob(same)):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "JOB_ID_CONFLICT")
        assert refusal.metadata == {"queue": WORK, "job": "order-17"}


@pytest.mark.families
async def test_validate_only_checks_everything_and_stores_nothing(service: Running) -> None:
    answer = await service.app.jobs.EnqueueJob(welcome(validateOnly=True))
    assert (answer.job_id, answer.options.job_id, answer.queue_name, answer.options.attempts) == (
        "",
        "",
        "email:send",
        3,
    )
    bad = welcome(validateOnly=True, data={"user": {"email": "no"}})
    assert (await refused(service.app.jobs.EnqueueJob(bad))).fields == ["data.user.email"]
    assert (await refused(service.user.jobs.EnqueueJob(welcome(validateOnly=True)))).reason == "ROLE_INSUFFICIENT"
    batch = await service.app.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=[welcome(), bad], validate_only=True))
    assert (batch.results[0].job_id, batch.results[0].HasField("error")) == ("", False)
    assert refusal_in(batch.results[1].error).fields == ["data.user.email"]
    assert await stored(service) == 0


@pytest.mark.families
async def test_a_batch_answers_each_job_in_order_and_keeps_the_good_ones(service: Running) -> None:
    jobs = [
        welcome(),
        welcome(data={"user": {}}),
        EnqueueJobRequest(payload=custom(Noop()), options={"job_id": "own"}),
        EnqueueJobRequest(payload=custom(Noop()), options={"job_id": "own"}),
        request(queueName="nope", jobType="nope"),
        EnqueueJobRequest(payload=custom(Noop(pad="other")), options={"job_id": "own"}),
    ]
    results = (await service.admin.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=jobs))).results
    reasons = [refusal_in(result.error).reason if result.HasField("error") else "" for result in results]
    assert reasons == ["", "REQUEST_INVALID", "", "", "QUEUE_UNKNOWN", "JOB_ID_CONFLICT"]
    assert [result.duplicate for result in results] == [False, False, False, True, False, False]
    assert [bool(result.job_id) for result in results] == [True, False, True, True, False, False]
    assert await stored(service) == 2


async def test_a_batch_holds_one_to_a_thousand_jobs(service: Running) -> None:
    job = EnqueueJobRequest(payload=custom(Noop()))
    results = (await service.admin.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=[job] * 1000))).results
    assert len({result.job_id for result in results}) == 1000
    assert await stored(service) == 1000
    for jobs in ([], [job] * 1001):
        refusal = await refused(service.admin.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=jobs)))
        assert refusal.fields == ["jobs"]


@pytest.mark.families
async def test_a_stream_answers_in_order_while_it_goes_on(service: Running) -> None:
    """Each request is answered without waiting for the next, and many may be under way."""
    call = service.app.jobs.StreamEnqueueJobs()
    await call.write(StreamEnqueueJobsRequest(job=welcome(options={"jobId": "first"})))
    assert (await call.read()).job_id == "first"

    async def send() -> None:
        for number in range(2000):
            bad = number % 100 == 99
            job = EnqueueJobRequest(payload=custom(Script() if bad else Noop()), options={"job_id": f"n{number}"})
            await call.write(StreamEnqueueJobsRequest(job=job))
        await call.done_writing()

    sending = asyncio.create_task(send())
    answers = [await call.read() for _ in range(2000)]
    assert await call.read() is grpc.aio.EOF
    await sending
    expected = ["" if number % 100 == 99 else f"n{number}" for number in range(2000)]
    assert [answer.job_id for answer in answers] == expected
    assert [answer.HasField("error") for answer in answers] == [not name for name in expected]
    assert await stored(service) == 1 + 1980


@pytest.mark.families
async def test_a_stream_takes_no_job_of_a_caller_whose_token_has_expired_meanwhile(service: Running) -> None:
    expires = time.time() + 5
    call = service.as_("service", exp=expires).jobs.StreamEnqueueJobs()
    await call.write(StreamEnqueueJobsRequest(job=welcome()))
    assert (await call.read()).job_id
    await eventually(lambda: time.time() >= expires)
    await call.write(StreamEnqueueJobsRequest(job=welcome()))
    assert (await refused(call)).reason == "TOKEN_EXPIRED"
    assert await stored(service) == 1


@pytest.fixture
async def crowded(settings: Settings) -> AsyncIterator[Running]:
    async with serving(settings, queue_max_backlog=3) as started:
        yield started


async def test_a_full_backlog_refuses_with_a_time_to_come_back(crowded: Running) -> None:
    for _ in range(3):
        await crowded.app.enqueue(Noop())
    refusal = await refused(crowded.app.jobs.EnqueueJob(EnqueueJobRequest(payload=custom(Noop()))))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BACKLOG_FULL")
    assert refusal.metadata == {"queue": WORK, "limit": "3"}
    assert refusal.retry_after
    assert refusal.retry_after > 0


@pytest.mark.families
@pytest.mark.parametrize(
    ("switch", "refused_types"),
    [("enable_queue_service", {"welcome", "noop"}), ("enable_email_service", {"welcome"})],
)
async def test_what_is_switched_off_says_so(settings: Settings, switch: str, refused_types: set[str]) -> None:
    async with serving(settings, **{switch: False}) as service:
        for word, body in (("welcome", welcome()), ("noop", request(queueName=WORK, jobType="noop"))):
            call = service.app.jobs.EnqueueJob(body)
            if word not in refused_types:
                await call
                continue
            refusal = await refused(call)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SERVICE_DISABLED")
            assert refusal.metadata == {"setting": switch.upper()}


# ProcessorService


async def job_of(caller: Caller, answer: Any) -> Any:
    assert answer.job_id
    return (await caller.jobs.GetJob(GetJobRequest(queue_name=answer.queue_name, job_id=answer.job_id))).job


@pytest.mark.families
async def test_the_common_tasks_have_their_priorities_and_take_options(service: Running) -> None:
    user = EmailUser(email="u@example.com")
    later = Timestamp(seconds=int(time.time()) + 3600)
    app = service.app
    first = await app.tasks.SendWelcomeEmail(SendWelcomeEmailRequest(user=user))
    notified = await app.tasks.SendSubmissionNotification(
        SendSubmissionNotificationRequest(
            submission={"id": "s"}, form={"title": "Form"}, recipients=[{"email": "a@b.c"}]
        )
    )
    reset = await app.tasks.SendPasswordResetEmail(
        SendPasswordResetEmailRequest(user=user, reset_token="t", expire_time=later)
    )
    jobs = [await job_of(app, answer) for answer in (first, notified, reset)]
    assert [(job.job_type, job.priority) for job in jobs] == [
        ("welcome", 5),
        ("submission-notification", 7),
        ("password-reset", 8),
    ]
    assert jobs[2].options.expire_at == later
    own = await app.tasks.SendWelcomeEmail(
        SendWelcomeEmailRequest(user=user, options={"priority": 9, "delay": 5000, "job_id": "mine"})
    )
    job = await job_of(app, own)
    assert (job.id, job.priority, job.state) == ("mine", 9, JobState.JOB_STATE_DELAYED)
    again = await app.tasks.SendWelcomeEmail(
        SendWelcomeEmailRequest(user=user, options={"priority": 9, "delay": 5000, "job_id": "mine"})
    )
    assert again.duplicate


@pytest.mark.families
async def test_a_reset_mail_keeps_the_callers_own_expiry(service: Running) -> None:
    now = int(time.time())
    answer = await service.app.tasks.SendPasswordResetEmail(
        SendPasswordResetEmailRequest(
            user={"email": "u@example.com"},
            reset_token="t",
            expire_time=Timestamp(seconds=now + 3600),
            options={"expire_at": Timestamp(seconds=now + 60)},
        )
    )
    assert (await job_of(service.app, answer)).options.expire_at.seconds == now + 60


@pytest.mark.families
@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        (SendPasswordResetEmailRequest(), ["user", "resetToken", "expiresAt"]),
        (
            SendPasswordResetEmailRequest(
                user={"email": "no"},
                reset_token="t",
                expire_time=Timestamp(seconds=4_000_000_000),
                options={"delay": -1},
            ),
            ["user.email", "options.delay"],
        ),
        (
            SendPasswordResetEmailRequest(
                user={"email": "u@e.c"}, reset_token="•••", expire_time=Timestamp(seconds=4_000_000_000)
            ),
            ["resetToken"],
        ),
        (
            SendPasswordResetEmailRequest(user={"email": "u@e.c"}, reset_token="t", expire_time=Timestamp(seconds=5)),
            ["options.expireAt"],
        ),
    ],
)
async def test_a_wrong_task_names_the_fields_as_its_caller_knows_them(
    service: Running, wrong: SendPasswordResetEmailRequest, fields: list[str]
) -> None:
    assert (await refused(service.app.tasks.SendPasswordResetEmail(wrong))).fields == fields


@pytest.mark.families
async def test_the_tasks_are_for_services(service: Running) -> None:
    call = service.user.tasks.SendWelcomeEmail(SendWelcomeEmailRequest(user={"email": "u@example.com"}))
    assert (await refused(call)).metadata == {"role": "general_user", "required": "service"}


async def test_counts_tell_what_was_enqueued_where(service: Running) -> None:
    await service.app.enqueue(Noop())
    await service.app.enqueue(Noop(), delay=60_000)
    stats = (await service.user.jobs.GetQueueStats(GetQueueStatsRequest(queue_name=WORK))).stats
    assert (stats.counts.waiting, stats.counts.delayed) == (1, 1)
