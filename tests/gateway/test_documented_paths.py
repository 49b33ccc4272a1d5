"""The documentation's REST paths, pasted."""

from tests.gateway.front import Front

COUNTS = {"waiting", "delayed", "active", "completed", "failed", "cancelled", "blocked"}


def test_a_job_is_enqueued_and_the_answer_repeats_what_is_in_force(front: Front) -> None:
    body = {
        "queueName": "email:send",
        "jobType": "welcome",
        "data": {"user": {"id": 1, "email": "user@example.com"}},
        "options": {"priority": 5, "delay": 0},
    }
    answer = front.call("POST", "jobs", body)
    assert answer.status == 200
    assert answer.json["queueName"] == "email:send"
    assert answer.json["jobType"] == "welcome"
    assert answer.json["state"] == "JOB_STATE_WAITING"
    assert answer.json["duplicate"] is False
    assert answer.json["options"]["priority"] == 5
    assert answer.json["options"]["attempts"] == 3
    assert answer.json["options"]["backoff"] == {"type": "exponential", "delay": 2000, "jitter": 0}


def test_a_job_is_read_with_its_progress_under_data(front: Front) -> None:
    job_id = front.enqueue()
    job = front.call("GET", f"email:send/jobs/{job_id}").json["data"]
    assert (job["id"], job["progress"], job["state"]) == (job_id, 0, "JOB_STATE_WAITING")
    assert job["payload"]["emailWelcome"]["user"]["id"] == "1"
    assert job["createdBy"] == {"id": "tester", "name": "Tester", "role": "admin"}


def test_the_queues_name_may_be_escaped(front: Front) -> None:
    job_id = front.enqueue()
    assert front.call("GET", f"email%3Asend/jobs/{job_id}").json["data"]["id"] == job_id


def test_a_queue_whose_name_ends_like_a_verb_has_its_limits_changed(front: Front) -> None:
    for path in ("email:batch", "email%3Abatch"):
        changed = front.call("PATCH", path, {"maxActive": 7})
        assert (changed.status, changed.json["stats"]["queueName"]) == (200, "email:batch")
        assert changed.json["stats"]["limits"]["maxActive"] == 7
        assert front.call("PATCH", path, {"maxActive": 0}).json["stats"]["limits"]["maxActive"] == 0


def test_all_queues_have_statistics_and_so_has_one_without_a_wrapper(front: Front) -> None:
    queues = front.call("GET", "stats").json["queues"]
    assert {"email:send", "email:batch"} <= {queue["queueName"] for queue in queues}
    one = front.call("GET", "email:send/stats")
    assert one.status == 200
    assert one.json["queueName"] == "email:send"
    assert set(one.json["counts"]) == COUNTS
    assert int(one.headers["content-length"]) == len(one.text)


def test_a_queue_is_paused_and_resumed(front: Front) -> None:
    assert front.call("POST", "email:batch/pause").json == {"queueName": "email:batch", "paused": True}
    assert front.call("GET", "email:batch/stats").json["paused"] is True
    assert front.call("POST", "email:batch/resume").json == {"queueName": "email:batch", "paused": False}


def test_a_queue_is_cleaned_with_and_without_grace(front: Front) -> None:
    nothing = {"removed": {"completed": 0, "failed": 0, "cancelled": 0}}
    assert front.call("POST", "email:batch/clean", {"grace": 86400000}).json == nothing
    assert front.call("POST", "email:batch/clean").json == nothing


def test_a_cancelled_job_is_cleaned_away(front: Front) -> None:
    job_id = front.enqueue(delay=60_000)
    assert front.call("POST", f"email:send/jobs/{job_id}/cancel").json["data"]["state"] == "JOB_STATE_CANCELLED"
    assert front.call("POST", "email:send/clean", {"grace": 0}).json["removed"]["cancelled"] >= 1
    assert front.call("GET", f"email:send/jobs/{job_id}").status == 404


def test_a_job_is_removed(front: Front) -> None:
    job_id = front.enqueue()
    removed = front.call("DELETE", f"email:send/jobs/{job_id}")
    assert (removed.status, removed.json) == (200, {})
    assert front.call("GET", f"email:send/jobs/{job_id}").status == 404


def test_the_dashboard_gives_the_overview_that_the_documentation_reads(front: Front) -> None:
    board = front.call("GET", "dashboard").json
    states = {f"{state}Jobs" for state in COUNTS}
    assert set(board["overview"]) == {"totalQueues", "totalJobs", *states, "totalsSinceStart"}
    assert board["overview"]["totalJobs"] == sum(board["overview"][state] for state in states)
    assert {"queues", "health", "system"} <= set(board)


def test_health_names_what_was_checked(front: Front) -> None:
    health = front.call("GET", "health")
    assert health.status == 200  # degraded: nobody works
    assert {check["name"] for check in health.json["checks"]} == {
        *("store", "workers", "scheduler", "database", "smtp", "storage")
    }
    assert "x-http-status" not in health.headers


def test_email_health_is_503_without_a_mail_server(front: Front) -> None:
    health = front.call("GET", "email/health")
    assert health.status == 503
    assert health.json["status"] == "unhealthy"
    assert "SMTP_HOST" in health.json["reason"]


def test_a_batch_answers_for_each_job(front: Front) -> None:
    good = {"queueName": "email:send", "jobType": "welcome", "data": {"user": {"email": "a@example.com"}}}
    bad = {"queueName": "email:send", "jobType": "welcome", "data": {"user": {"mail": "a@example.com"}}}
    results = front.call("POST", "jobs:batch", {"jobs": [good, bad]}).json["results"]
    assert results[0]["jobId"]
    assert results[1]["error"]["code"] == 3
    assert "data.user.mail" in results[1]["error"]["message"]


def test_a_list_takes_repeated_and_escaped_parameters(front: Front) -> None:
    job_id = front.enqueue(delay=60_000)
    query = "states=JOB_STATE_DELAYED&states=JOB_STATE_FAILED&pageSize=200&text=user%40example.com"
    jobs = front.call("GET", f"email:send/jobs?{query}").json["jobs"]
    assert job_id in {job["id"] for job in jobs}
    assert {job["state"] for job in jobs} == {"JOB_STATE_DELAYED"}
    for queue in ("email:send", "-"):
        found = front.call("GET", f"{queue}/jobs?text=no+such+text&createdBefore=1970-01-01T00:00:00Z").json
        assert found == {"jobs": [], "nextPageToken": "", "scanned": 0}


def test_a_client_error_tells_its_request_id(front: Front) -> None:
    answer = front.call("GET", "email:send/jobs/nobody", x_request_id="made-by-the-caller")
    assert answer.status == 404
    assert answer.headers["x-request-id"] == "made-by-the-caller"
