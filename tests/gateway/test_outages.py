"""What callers see while something behind the front door is away, and that it comes back by itself."""

from pathlib import Path

from tests.conftest import ValkeyServer, eventually
from tests.gateway.front import Front, running_envoy, running_service


async def test_without_valkey_health_is_503_and_enqueueing_says_when_to_come_back(
    own_valkey: ValkeyServer, home: Path
) -> None:
    with (
        running_service(home / "doomed", REDIS_URL=own_valkey.url) as (port, _),
        running_envoy(home / "before-doomed", port) as front,
    ):
        front.enqueue()
        own_valkey.kill()
        health = front.call("GET", "health")
        assert (health.status, health.json["status"]) == (503, "unhealthy")
        assert "store" in health.json["reason"]
        refused = front.call("POST", "jobs", {"queueName": "email:send", "jobType": "welcome", "data": welcome()})
        assert (refused.status, refused.reason) == (503, "STORE_UNAVAILABLE")
        assert any(detail["@type"].endswith("RetryInfo") for detail in refused.json["details"])
        own_valkey.start()
        await eventually(lambda: front.call("GET", "health").status == 200, what="healthy again")
        front.enqueue()


async def test_without_the_service_rest_is_503_and_says_when_to_come_back(valkey: ValkeyServer, home: Path) -> None:
    told = {"REDIS_URL": valkey.url, "REDIS_KEY_PREFIX": "outage"}
    with running_service(home / "killed", **told) as (port, process), running_envoy(home / "alone", port) as front:
        assert front.call("GET", "stats").status == 200
        process.kill()
        process.wait()
        unreachable(front, "stats")
        unreachable(front, "email:send/jobs/1/events")


def unreachable(front: Front, path: str) -> None:
    answer = front.call("GET", path)
    assert (answer.status, answer.json["code"]) == (503, 14)
    assert int(answer.headers["retry-after"]) > 0
    assert "upstream" not in answer.text
    assert "refused" not in answer.text


def welcome() -> dict[str, object]:
    return {"user": {"email": "user@example.com"}}
