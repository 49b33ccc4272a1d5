"""A package from outside can do all that a family can: every hook of base.plugins, used by tests/plugin/greetings."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from google.protobuf.timestamp_pb2 import Timestamp
from greetings import checks as greetings_checks
from greetings.album import Album
from greetings.settings import GreetingSettings
from greetings.v1.greetings_pb2 import (
    DESCRIPTOR,
    CountGreetingsRequest,
    Greet,
    Greeted,
    SendGreetingRequest,
    Style,
)
from greetings.v1.greetings_pb2_grpc import GreetingServiceStub
from qcollector.jobs.v1.email_pb2 import EmailWelcome
from qcollector.jobs.v1.job_pb2 import JobOptions, JobState
from qcollector.jobs.v1.job_queries_pb2 import DownloadResultRequest, GetJobRequest
from qcollector.jobs.v1.overview_pb2 import CheckHealthRequest
from qcollector.jobs.v1.payload_pb2 import JobPayload
from testjobs import contract as testjobs_contract

from base import plugins
from base.plugins import HOOKS, PluginError, constants, hooks, merged
from base.resources import open_resources
from base.settings import Settings, SettingsError, load, settings_class
from contract.catalog import CatalogError, active_per_owner, concurrency, load_catalog
from contract.errors import JobTypeUnknownError
from engine.schedules import Schedules
from engine.store import Store
from service.health import Check
from service.permissions import Access, Rule
from service.serving import Serving, rules_by_path
from tests.conftest import eventually
from tests.service.conftest import Running, bearer, refused, serving
from workers.duties import SchedulerContext
from workers.handlers import load_handlers
from workers.scheduler import run_until
from workers.worker import work

from .conftest import PLUGINS

QUEUE = "greetings:write"


def greetings(service: Running, **claims: Any) -> Any:
    stub = GreetingServiceStub(service.channel)

    class Bound:
        def __getattr__(self, name: str) -> Any:
            return lambda request: getattr(stub, name)(request, metadata=bearer(**claims), timeout=30)

    return Bound()


def test_the_plugin_uses_every_hook() -> None:
    assert [name for name in HOOKS if not any(m.__name__ == f"greetings.{name}" for m in hooks(name, PLUGINS))] == []


async def test_its_task_enqueues_with_its_priority_and_ends_by_its_field(greeter: Running) -> None:
    until = Timestamp(seconds=4_000_000_000)
    request = SendGreetingRequest(name="Ada", look=Style(width=5), expire_time=until)
    answer = await greetings(greeter).SendGreeting(request)
    assert (answer.queue_name, answer.job_type, answer.options.priority) == (QUEUE, "greet", 6)
    assert answer.options.expire_at == until
    job = (await greeter.admin.jobs.GetJob(GetJobRequest(queue_name=QUEUE, job_id=answer.job_id))).job
    payload = Greet()
    assert job.payload.custom.Unpack(payload)
    assert payload == Greet(name="Ada", style=Style(width=5))


async def test_options_of_its_task_come_before_what_the_contract_says(greeter: Running) -> None:
    until = Timestamp(seconds=4_000_000_000)
    options = JobOptions(priority=9, expire_at=until)
    request = SendGreetingRequest(name="Ada", expire_time=Timestamp(seconds=3_900_000_000), options=options)
    answer = await greetings(greeter).SendGreeting(request)
    assert (answer.options.priority, answer.options.expire_at) == (9, until)


async def test_a_mark_of_its_own_is_checked_wherever_a_payload_is_taken(greeter: Running) -> None:
    refusal = await refused(greetings(greeter).SendGreeting(SendGreetingRequest(name="Zed")))
    assert [(v.field, v.reason, v.description) for v in refusal.violations] == [
        ("name", "KNOWN_NAME", "is not a known name; write one of Ada, Bo")
    ] or refusal.fields == ["name"]
    assert "write one of Ada, Bo" in refusal.message


async def test_its_check_at_enqueue_names_the_field_as_the_caller_wrote_it(greeter: Running) -> None:
    refusal = await refused(greetings(greeter).SendGreeting(SendGreetingRequest(name="Ada", look=Style(width=1))))
    assert refusal.fields == ["look.width"]


async def test_a_call_of_its_own_is_served_by_its_rule(greeter: Running) -> None:
    answer = await greetings(greeter, role="user").CountGreetings(CountGreetingsRequest(name="Ada"))
    assert answer.count == 3
    stub = GreetingServiceStub(greeter.channel)
    refusal = await refused(stub.CountGreetings(CountGreetingsRequest(name="Ada"), timeout=30))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED


async def test_its_job_runs_with_its_resource_and_its_file_is_for_whom_it_says(
    greeter: Running, greeting_settings: Settings
) -> None:
    stopping = asyncio.Event()
    worker = asyncio.create_task(work(greeting_settings, stopping, [QUEUE]))
    answer = await greetings(greeter, sub="ulla", role="service").SendGreeting(SendGreetingRequest(name="Ada"))
    wanted = GetJobRequest(queue_name=QUEUE, job_id=answer.job_id, wait_seconds=20)
    job = (await greeter.admin.jobs.GetJob(wanted)).job
    stopping.set()
    await worker
    assert job.state == JobState.JOB_STATE_COMPLETED
    result = Greeted()
    assert job.result.custom.Unpack(result)
    assert result.text == "Hello Ada"
    download = DownloadResultRequest(queue_name=QUEUE, job_id=answer.job_id)
    bodies = [body async for body in greeter.as_("service", "ulla").jobs.DownloadResult(download)]
    assert (bodies[0].content_type, b"".join(body.data for body in bodies)) == ("text/plain", b"Hello Ada")
    assert (await refused(greeter.as_("admin", "nosy").jobs.DownloadResult(download))).code is grpc.StatusCode.NOT_FOUND


async def test_its_health_check_is_part_of_the_whole(greeter: Running, greeting_settings: Settings) -> None:
    found = {check.name: check for check in (await greeter.admin.jobs.CheckHealth(CheckHealthRequest())).checks}
    assert found["greetings"].status == "healthy"
    async with serving(greeting_settings, greeting_names="") as other:
        answer = await other.admin.jobs.CheckHealth(CheckHealthRequest())
        assert answer.status == "degraded"
        assert "GREETING_NAMES is empty" in answer.reason


async def test_the_scheduler_does_its_duty_and_seeds_its_schedules(greeting_settings: Settings, store: Store) -> None:
    sign = greeting_settings.data_dir / "greetings-duty"
    greeting_settings.data_dir.mkdir(parents=True, exist_ok=True)
    stopping = asyncio.Event()
    scheduler = asyncio.create_task(run_until(greeting_settings, stopping))
    await eventually(sign.exists)

    async def seeded() -> bool:
        return any(one.record.name == "morning-greeting" for one in (await Schedules(store).all())[0])

    await eventually(seeded)
    stopping.set()
    await scheduler
    assert not sign.exists()


def test_its_settings_are_read_and_bound_its_family(
    greeting_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = load_catalog(PLUGINS).queue(QUEUE)
    assert (concurrency(queue, greeting_settings), active_per_owner(queue, greeting_settings)) == (3, 2)
    monkeypatch.setenv("GREETING_WORD", "Good morning")
    monkeypatch.setenv("GREETINGS_CONCURRENCY", "7")
    monkeypatch.setenv("JOB_PLUGINS", "greetings")
    told = load()
    assert GreetingSettings.of(told).greeting_word == "Good morning"
    assert concurrency(queue, told) == 7
    monkeypatch.setenv("GREETINGS_CONCURRENCY", "many")
    with pytest.raises(SettingsError, match="GREETINGS_CONCURRENCY: is not a whole number"):
        load()


async def test_its_family_is_switched_off_by_its_own_variable(greeting_settings: Settings) -> None:
    async with serving(greeting_settings, enable_greetings_service=False) as off:
        refusal = await refused(greetings(off).SendGreeting(SendGreetingRequest(name="Ada")))
        assert refusal.reason == "SERVICE_DISABLED"
        assert "ENABLE_GREETINGS_SERVICE=false" in refusal.message


def test_its_command_is_one_of_qjobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_PLUGINS", "greetings")
    (module,) = [module for module in hooks("commands", ("greetings",)) if module.__name__ == "greetings.commands"]
    assert CliRunner().invoke(module.COMMANDS[0], ["Ada"]).output == "Hello Ada\n"


async def test_its_resource_is_closed_with_its_process(greeting_settings: Settings, store: Store) -> None:
    async with open_resources(greeting_settings, store, [Album]) as opened:
        book = opened[Album]
        assert book.counts.total() == 0
        assert await asyncio.sleep(0, not book.closed)
    assert book.closed


@pytest.mark.parametrize("name", ["nowhere", "nowhere.at.all", "email"])
def test_a_plugin_that_cannot_be_found_is_named_with_the_remedy(name: str) -> None:
    with pytest.raises(SettingsError, match=f"JOB_PLUGINS names {name}, .*correct the name"):
        load(job_plugins=(name,))
    with pytest.raises(CatalogError, match=f"JOB_PLUGINS names {name}, .*correct the name"):
        load_catalog((name,))
    with pytest.raises(PluginError, match=f"JOB_PLUGINS names {name}, .*correct the name"):
        hooks("checks", (name,))


@pytest.mark.parametrize("told", ["testjobs, greetings", ["testjobs", "greetings"], ("testjobs", "greetings")])
def test_plugins_may_be_told_as_text_or_one_by_one(told: str | Sequence[str]) -> None:
    settings = load(job_plugins=told)
    assert settings.job_plugins == ("testjobs", "greetings")
    assert GreetingSettings.of(settings).greetings_concurrency == 3


def test_two_plugins_cannot_declare_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Settings):
        greeting_word: str = "Salve"

    found = [*constants("settings", "SETTINGS", PLUGINS), Other]
    settings_class.cache_clear()
    monkeypatch.setattr("base.settings.constants", lambda *_: found)
    with pytest.raises(SettingsError, match=r"GREETING_WORD: .* declares it, and so does "):
        settings_class(PLUGINS)
    settings_class.cache_clear()


def test_a_payload_of_a_family_that_is_not_here_is_refused_as_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "families", lambda: ())
    alone = load_catalog(("testjobs",))
    assert set(alone.queues) == {"test:work", "test:serial"}
    payload = JobPayload(email_welcome=EmailWelcome())
    with pytest.raises(JobTypeUnknownError, match="no job type for the payload email_welcome"):
        alone.of_payload(payload)


def test_handlers_of_plugins_that_are_not_named_are_left_out() -> None:
    assert Greet.DESCRIPTOR.full_name in load_handlers(PLUGINS)
    assert Greet.DESCRIPTOR.full_name not in load_handlers(("testjobs",))


def test_a_plugin_named_twice_takes_part_once() -> None:
    assert len(hooks("servicers", ("greetings", "greetings"))) == len(hooks("servicers", ("greetings",)))


def test_a_module_that_lacks_its_constant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("greetings.health.CHECKS")
    with pytest.raises(PluginError, match=r"greetings\.health has no CHECKS; define it"):
        constants("health", "CHECKS", PLUGINS)


def test_two_plugins_cannot_check_one_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testjobs.contract.PAYLOAD_CHECKS", {Greet: None}, raising=False)
    monkeypatch.setattr("base.plugins.hooks", lambda *_: [greetings_checks, testjobs_contract])
    with pytest.raises(PluginError, match="two plugins have PAYLOAD_CHECKS for Greet; leave it to one"):
        merged("checks", "PAYLOAD_CHECKS")


SERVICE = DESCRIPTOR.services_by_name["GreetingService"]


@pytest.mark.parametrize(
    ("served", "problem"),
    [
        ([Serving(SERVICE)], "CountGreetings has no rule; say in its Serving's `rules`"),
        ([Serving(SERVICE, rules={"CountGreetings": Rule(Access.ANYBODY)})] * 2, "CountGreetings is served twice"),
    ],
)
def test_a_service_that_cannot_be_served_is_named_at_start(served: list[Serving], problem: str) -> None:
    with pytest.raises(CatalogError, match=problem):
        rules_by_path(served)


async def test_a_call_without_code_is_named_at_start(
    greeting_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("greetings.servicers.GreetingServicer.CountGreetings")
    with pytest.raises(CatalogError, match="CountGreetings has no code: write a method of that name"):
        async with serving(greeting_settings):
            pass


async def test_a_health_check_that_raises_is_one_fault_and_its_text_stays_in_the_log(
    greeting_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("hunter2")

    monkeypatch.setattr("greetings.health.CHECKS", (Check("greetings", "the plugin", broken),))
    async with serving(greeting_settings) as service:
        answer = await service.admin.jobs.CheckHealth(CheckHealthRequest())
        found = {check.name: check for check in answer.checks}
    assert (found["greetings"].status, found["store"].status) == ("degraded", "healthy")
    assert "the plugin could not be checked" in answer.reason
    assert "hunter2" not in str(answer)


async def test_a_duty_that_fails_is_begun_anew_and_stops_no_schedule(
    greeting_settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    async def broken(_context: SchedulerContext, stopping: asyncio.Event) -> None:
        begun.append(1)
        if len(begun) < 3:
            raise RuntimeError("a duty's own fault")
        await stopping.wait()

    monkeypatch.setattr("workers.duties.AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("greetings.duties.DUTIES", (broken,))
    stopping = asyncio.Event()
    scheduler = asyncio.create_task(run_until(greeting_settings, stopping))
    await eventually(lambda: len(begun) == 3)

    async def seeded() -> bool:
        return any(one.record.name == "morning-greeting" for one in (await Schedules(store).all())[0])

    await eventually(seeded)
    assert not scheduler.done()
    stopping.set()
    await scheduler
