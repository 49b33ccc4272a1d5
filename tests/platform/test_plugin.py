"""A package from outside can do all that a family can: every hook of base.plugins, used by tests/plugin/greetings."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from google.protobuf.timestamp_pb2 import Timestamp
from greetings.album import Album
from greetings.settings import GreetingSettings
from greetings.v1.greetings_pb2 import (
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

from base import plugins
from base.plugins import HOOKS, PluginError, hooks
from base.resources import open_resources
from base.settings import Settings, SettingsError, load, settings_class
from contract.catalog import CatalogError, active_per_owner, concurrency, load_catalog
from contract.errors import JobTypeUnknownError
from engine.schedules import Schedules
from engine.store import Store
from tests.conftest import eventually
from tests.service.conftest import Running, bearer, refused, serving
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

    class Module:
        SETTINGS = Other

    found = [*hooks("settings", PLUGINS), Module]
    settings_class.cache_clear()
    monkeypatch.setattr("base.settings.hooks", lambda *_: found)
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
