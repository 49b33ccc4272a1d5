"""The health check says of each service how it is, and why."""

import pytest
from pydantic import SecretStr
from qcollector.jobs.v1.system_pb2 import SystemHealthCheck, SystemServiceHealth
from testjobs.v1.testjobs_pb2 import Noop

from base.settings import Settings
from contract.catalog import Catalog
from engine import presence
from engine.store import Store
from families.system import health_report as health
from tests.conftest import eventually, free_port
from tests.desk import Desk
from tests.maintenance.conftest import working


async def test_all_services_are_looked_at_and_what_works_is_healthy(sample_desk: Desk) -> None:
    result = await sample_desk.run(SystemHealthCheck())
    services = result.results.services
    assert set(services) == {"database", "redis", "email", "queue", "storage"}
    healthy = {name for name, service in services.items() if service.status == "healthy"}
    assert healthy == {"database", "redis", "queue", "storage"}
    assert services["email"].status == "unhealthy"
    assert "SMTP_HOST" in services["email"].reason
    assert (result.results.overall, result.success) == ("degraded", False)
    assert all(service.latency_ms >= 0 for service in services.values())


async def test_only_what_was_asked_for_is_looked_at(sample_desk: Desk) -> None:
    result = await sample_desk.run(SystemHealthCheck(services=["database", "redis"]))
    assert set(result.results.services) == {"database", "redis"}
    assert (result.results.overall, result.success) == ("healthy", True)


async def test_without_the_database_it_is_unhealthy(settings: Settings, store: Store, catalog: Catalog) -> None:
    address = SecretStr(f"postgresql://user:hush@127.0.0.1:{free_port()}/data")
    async with working(settings, store, catalog, database_url=address) as desk:
        result = await desk.run(SystemHealthCheck(services=["database"]))
    assert result.results.overall == "unhealthy"
    assert "cannot be reached" in result.results.services["database"].reason
    assert "hush" not in str(result)


async def test_what_is_switched_off_is_disabled_and_no_fault(
    settings: Settings, store: Store, catalog: Catalog
) -> None:
    async with working(settings, store, catalog, enable_email_service=False) as desk:
        result = await desk.run(SystemHealthCheck(services=["email", "storage", "redis"]))
    assert result.results.services["email"].status == "disabled"
    assert (result.results.overall, result.success) == ("healthy", True)


async def test_a_root_that_lost_its_marker_is_a_fault(desk: Desk) -> None:
    (desk.settings.root("upload") / ".qjobs-storage").unlink()
    result = await desk.run(SystemHealthCheck(services=["storage"]))
    assert result.results.overall == "degraded"
    assert "UPLOAD_DIR has lost its marker" in result.results.services["storage"].reason


async def queues_once_a_job_waits(desk: Desk) -> SystemServiceHealth:
    """What is said of the queues while a job waits in one that nobody serves."""
    await desk.enqueue(Noop())

    async def has_waited() -> bool:
        (queue,) = await desk.inspection.stats(["test:work"])
        return queue.oldest_waiting_age > 50

    await eventually(has_waited)
    found: SystemServiceHealth = (await desk.run(SystemHealthCheck(services=["queue"]))).results.services["queue"]
    return found


async def test_jobs_that_no_worker_will_take_are_a_fault(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "UNSERVED_SECONDS", 0.05)
    found = await queues_once_a_job_waits(desk)
    assert (found.status, found.reason) == ("degraded", "no worker serves test:work, where jobs wait")


async def test_jobs_that_are_not_started_are_a_fault_also_where_there_is_a_worker(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STALLED_SECONDS", 0.05)
    found = await queues_once_a_job_waits(desk)
    assert found.status == "degraded"
    assert found.reason == "jobs wait in test:work, and none of them has been started for long"
