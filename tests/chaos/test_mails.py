"""Mails through the whole stack while its processes are killed: none is lost, and the counts add up all the while."""

import asyncio
import os
import random
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from qcollector.jobs.v1.email_pb2 import EmailUser, EmailWelcome
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_bulk_pb2 import BatchRetryJobsRequest, JobFilter
from qcollector.jobs.v1.job_pb2 import JobOptions, JobState
from qcollector.jobs.v1.job_queries_pb2 import ListJobsRequest
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest

from stack.ports import LOOPBACK
from tests.conftest import eventually
from tests.stack.running import RunningStack, environment, runs

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(560)]

MAILS = 1200
SENDERS = 8
QUEUE = "email:send"
VICTIMS = ("worker-1", "worker-2", "service", "valkey")
KILLS = 16
AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
ADDRESS = re.compile(rb"^To: .*?(mail\d{4})@example\.com", re.MULTILINE)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[RunningStack]:
    told = environment(tmp_path / "data", WORKERS=2, QUEUE_LEASE_SECONDS=2, EMAIL_CONCURRENCY=5)
    stack = RunningStack(tmp_path / "data", told)
    stack.start()
    await stack.ready()
    yield stack
    stack.discard()


class Caller:
    """A client that goes on through whatever dies, under ids of its own."""

    def __init__(self, stack: RunningStack) -> None:
        self._channel = grpc.aio.insecure_channel(f"{LOOPBACK}:{stack.told['GRPC_PORT']}")
        self._stub = JobServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {stack.token}"),)
        self.acknowledged = 0
        self.under_way = 0

    async def enqueue(self, name: str) -> None:
        payload = JobPayload(email_welcome=EmailWelcome(user=EmailUser(email=f"{name}@example.com")))
        request = EnqueueJobRequest(payload=payload, options=JobOptions(job_id=name, attempts=20))
        self.under_way += 1
        while True:
            try:
                await self._stub.EnqueueJob(request, metadata=self._metadata, timeout=5)
            except grpc.aio.AioRpcError as error:
                assert error.code() in AWAY, error
                await asyncio.sleep(0.1)
            else:
                self.acknowledged += 1
                self.under_way -= 1
                return

    async def held(self) -> Counter[str] | None:
        """The queue's jobs by state, or None while it cannot be asked."""
        try:
            answer = await self._stub.GetQueueStats(
                GetQueueStatsRequest(queue_name=QUEUE), metadata=self._metadata, timeout=5
            )
        except grpc.aio.AioRpcError as error:
            assert error.code() in AWAY, error
            return None
        counts = answer.stats.counts
        return Counter({field.name: getattr(counts, field.name) for field in counts.DESCRIPTOR.fields})

    async def retry_stalled(self) -> int:
        """Retries the jobs that failed, all of them for stalling; how many."""
        failed = JobFilter(states=[JobState.JOB_STATE_FAILED])
        listed = await self._stub.ListJobs(
            ListJobsRequest(queue_name=QUEUE, states=failed.states, page_size=500), metadata=self._metadata
        )
        reasons = {job.failed_reason for job in listed.jobs}
        assert all("for the third time" in reason for reason in reasons), reasons
        answer = await self._stub.BatchRetryJobs(
            BatchRetryJobsRequest(queue_name=QUEUE, filter=failed), metadata=self._metadata
        )
        return answer.changed

    async def close(self) -> None:
        await self._channel.close()


async def test_1200_mails_outlive_sigkill_of_workers_service_and_valkey(stack: RunningStack) -> None:
    caller = Caller(stack)
    names = iter([f"mail{number:04d}" for number in range(MAILS)])
    done = asyncio.Event()

    async def send() -> None:
        for name in names:
            await caller.enqueue(name)
            await asyncio.sleep(0.15)  # so that the mails last as long as the killing does

    samples: list[Counter[str]] = []

    async def sample() -> None:
        while not done.is_set():
            least = caller.acknowledged
            counts = await caller.held()
            if counts is not None:
                # What was acknowledged before is there, and no more than what was sent.
                assert least <= counts.total() <= caller.acknowledged + caller.under_way, counts
                samples.append(counts)
            await asyncio.sleep(0.05)

    async def kill() -> None:
        chance = random.Random(20261124)
        for place in range(KILLS):
            victim = VICTIMS[place % len(VICTIMS)]
            await asyncio.sleep(chance.uniform(1.0, 2.5))
            await eventually(lambda name=victim: runs(stack.pids[name]), seconds=60, what=f"{victim} runs")  # type: ignore[misc]
            os.kill(stack.pids[victim], signal.SIGKILL)

    async with asyncio.TaskGroup() as group:
        sampler = group.create_task(sample())
        killer = group.create_task(kill())
        await asyncio.gather(*(asyncio.create_task(send()) for _ in range(SENDERS)))
        await killer
        await _nothing_under_way(caller)
        # A mail that three kills in a row hit lies among the dead letters, as promised; from there it goes out, too.
        if await caller.retry_stalled():
            await _nothing_under_way(caller)
        done.set()
        await sampler
    counts = await caller.held()
    assert counts is not None
    assert counts["completed"] == MAILS, counts
    await caller.close()

    arrived = Counter(
        match[1].decode()
        for path in (stack.home / "outbox").glob("*.eml")
        if (match := ADDRESS.search(path.read_bytes()))
    )
    assert len(arrived) == MAILS, f"{MAILS - len(arrived)} mails are lost"
    assert len(samples) > 50
    # At least once: what was in a worker's hands when it died goes out again, and nothing else does.
    in_hands = KILLS * 2 * 5
    assert arrived.total() - MAILS <= in_hands


async def _nothing_under_way(caller: Caller) -> None:
    last: list[Counter[str] | None] = [None]

    async def look() -> bool:
        last[0] = counts = await caller.held()
        return counts is not None and not counts["waiting"] + counts["delayed"] + counts["active"]

    try:
        await eventually(look, seconds=180, every=0.2)
    finally:
        print(f"at the end: {last[0]}")  # noqa: T201  (pytest shows it when the test fails)
