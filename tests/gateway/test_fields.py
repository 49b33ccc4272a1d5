"""Every field that is refused is named, with what would be right; words of enums are taken as people write them."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.gateway.front import Answer, Front

MAIL = {"queueName": "email:send", "jobType": "welcome", "data": {"user": {"email": "user@example.com"}}}
STATES = "must be one of waiting, delayed, active, completed, failed, cancelled, blocked"
TIME = "must be a time in RFC 3339 format"


def violations(answer: Answer) -> dict[str, str]:
    """The fields at fault and what is wrong with each, of an answer in the form of the service's own."""
    assert (answer.status, answer.json["code"], answer.reason) == (400, 3, "REQUEST_INVALID"), answer.text
    kinds = [detail["@type"].rpartition(".")[2] for detail in answer.json["details"]]
    assert kinds == ["ErrorInfo", "BadRequest"]
    listed = answer.json["details"][1]["fieldViolations"]
    first = listed[0]
    assert answer.json["message"].startswith(f"{first['field']}: {first['description']}".removeprefix(": "))
    return {one["field"]: one["description"] for one in listed}


@pytest.mark.parametrize(
    ("change", "field", "description"),
    [
        (
            {"options": {"backoff": 5000}},
            "options.backoff",
            "must be an object in braces with the fields delay, jitter",
        ),
        ({"options": {"delay": "soon"}}, "options.delay", "must be a number"),
        ({"options": {"runAt": "2030-01-01"}}, "options.runAt", TIME),
        ({"options": {"runAt": "2030-02-30T00:00:00Z"}}, "options.runAt", TIME),
        ({"options": {"runAt": 1_900_000_000}}, "options.runAt", TIME),
        ({"options": {"timeout": 1.5}}, "options.timeout", "must be a whole number"),
        ({"options": {"timeout": 10**12}}, "options.timeout", "must be a whole number from -2147483648 to 2147483647"),
        ({"options": []}, "options", "must be an object in braces with the fields attempts, "),
        ({"optoins": {}}, "optoins", "there is no such field; there are data, jobType, options, "),
        ({"data": []}, "data", "must be an object in braces"),
        ({"data": "text"}, "data", "must be an object in braces"),
        ({"queueName": 7}, "queueName", "must be a string in double quotes"),
        ({"jobType": ["welcome"]}, "jobType", "must be a string in double quotes"),
        ({"validateOnly": "yes"}, "validateOnly", "must be true or false"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(
    front: Front, change: dict[str, Any], field: str, description: str
) -> None:
    told = violations(front.call("POST", "jobs", MAIL | change))
    assert list(told) == [field]
    assert told[field].startswith(description)


def test_all_fields_at_fault_are_told_at_once(front: Front) -> None:
    wrong = {"delay": "soon", "runAt": "later", "backof": {}, "backoff": {"delay": "1s"}}
    answer = front.call("POST", "jobs:batch", {"jobs": [MAIL, MAIL | {"options": wrong}]})
    begin = "jobs[1].options."
    assert list(violations(answer)) == [f"{begin}{name}" for name in ("delay", "runAt", "backof", "backoff.delay")]
    assert answer.json["message"].endswith("(and 3 more)")


@pytest.mark.parametrize(
    ("query", "field", "description"),
    [
        ("states=nope", "states", STATES),
        ("states=", "states", STATES),
        ("states=waiting&states=nope", "states", STATES),
        ("pageSize=x", "pageSize", "must be a whole number"),
        ("pageSize=", "pageSize", "must be a whole number"),
        ("createdAfter=yesterday", "createdAfter", TIME),
        ("nothing=1", "nothing", "there is no such parameter; there are createdAfter, "),
        ("filter.states=failed", "filter.states", "there is no such parameter; there are createdAfter, "),
        ("%22%3C%0d=1", '"<?', "there is no such parameter; there are createdAfter, "),
        ("queueName=email:batch", "queueName", "is in the path already"),
        ("queue_name=email:batch", "queue_name", "is in the path already"),
        ("pageSize=1&pageSize=2", "pageSize", "is given twice"),
        ("pageSize=1&page_size=2", "page_size", "is given twice"),
        ("pageSize=1e1", "pageSize", "must be a whole number"),
        ("pageSize=1.0", "pageSize", "must be a whole number"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_would_be_right(
    front: Front, query: str, field: str, description: str
) -> None:
    told = violations(front.call("GET", f"email:send/jobs?{query}"))
    assert list(told) == [field]
    assert told[field].startswith(description)


@pytest.mark.parametrize("word", ["failed", "FAILED", "job_state_failed", "JOB_STATE_FAILED", "Job_State_Failed"])
def test_a_state_is_taken_by_its_plain_word_and_its_name_in_any_case(front: Front, word: str) -> None:
    marked = {"createdBy": f"nobody-{time.time_ns()}"}
    front.enqueue()
    listed = front.call("GET", f"email:send/jobs?states=waiting&pageSize=5&states={word}")
    assert listed.status == 200, listed.text
    assert "JOB_STATE_WAITING" in {job["state"] for job in listed.json["jobs"]}
    assert front.call("GET", f"email:send/jobs?states={word}").json["jobs"] == []
    answer = front.call("POST", "email:send/jobs:retry", {"filter": {"states": [word, "cancelled"]} | marked})
    assert answer.status == 200, answer.text


def test_a_state_in_a_body_that_there_is_not_is_named_with_those_there_are(front: Front) -> None:
    told = violations(front.call("POST", "email:send/jobs:cancel", {"filter": {"states": ["failed", "nope"]}}))
    assert told == {"filter.states[1]": STATES}


@pytest.mark.parametrize(
    "body",
    [
        *("{'queueName':'email:send'}", "{queueName:1}", "{\"data\":{'}':1}}", '{"queueName":"a",}', '{"data":{}} {}'),
        *('{"data":{"a":"\\"}}', '{"options":{"delay":1,,"attempts":1}}'),
    ],
)
def test_what_is_no_json_is_refused_before_a_field_of_it_could_be_missed(front: Front, body: str) -> None:
    answer = front.call("POST", "jobs", body.encode())
    assert violations(answer) == {"": "the body is not a JSON object"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"filter":{"states":["waiting"]},"filter":{"createdBy":"me"}}', "filter"),
        ('{"jobIds":["a"],"job_ids":["b"]}', "job_ids"),
        ('{"all":true,"validate_only":true,"validateOnly":false}', "validateOnly"),
        ('{"filter":{"job_type":"welcome","jobType":"send"}}', "filter.jobType"),
    ],
)
def test_a_field_that_is_given_twice_is_refused_however_it_is_spelt(front: Front, body: str, field: str) -> None:
    assert violations(front.call("POST", "email:send/jobs:cancel", body.encode())) == {field: "is given twice"}


@pytest.mark.parametrize(("method", "rest"), [("DELETE", ""), ("GET", ""), ("GET", "/logs"), ("GET", "/events")])
def test_a_parameter_does_not_lead_to_another_job_than_the_path(front: Front, method: str, rest: str) -> None:
    other = front.enqueue()
    answer = front.call(method, f"email:send/jobs/none{rest}?jobId={other}")
    assert violations(answer) == {"jobId": "is in the path already"}
    assert front.call("GET", f"email:send/jobs/{other}").status == 200


def test_a_call_that_has_a_body_takes_no_parameters_beside_it(front: Front) -> None:
    kept = front.enqueue()
    told = violations(front.call("POST", "email:send/jobs:cancel?validateOnly=false", {"jobIds": [kept]}))
    assert told == {"validateOnly": "is no parameter: all fields of this call are in its body"}
    assert front.call("GET", f"email:send/jobs/{kept}").json["data"]["state"] == "JOB_STATE_WAITING"


def test_text_that_is_escaped_and_times_with_offsets_are_taken(front: Front) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.5\\u002B07:00")
    body = (
        '{ "queueName":"email:send", "jobType":"wel\\u0063ome", "data":{"user":{"email":"a\\u0040b.example"}},\r\n'
        f'"options" : {{"runAt":"{tomorrow}", "priority":"3", "delay":null}} , "validateOnly":true }}'
    )
    answer = front.call("POST", "jobs", body.encode())
    assert answer.status == 200, answer.text


def test_more_than_a_list_may_hold_is_told_without_reading_on(front: Front) -> None:
    told = violations(front.call("POST", "email:send/jobs:cancel", {"jobIds": ["a"] * 200_000}))
    assert told == {"jobIds": "must contain no more than 1000 item(s)"}


def test_no_more_than_twenty_fields_are_told(front: Front) -> None:
    assert len(violations(front.call("POST", "jobs", {f"field{number}": 1 for number in range(50_000)}))) == 20
