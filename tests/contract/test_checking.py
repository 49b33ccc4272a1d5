"""A payload that its job could not work on is refused by field, rule and remedy."""

import timeit
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from qcollector.jobs.v1 import email_pb2, enqueue_pb2, export_pb2, job_queries_pb2, processor_service_pb2
from qcollector.jobs.v1.email_pb2 import (
    EmailAttachment,
    EmailBatch,
    EmailBatchOptions,
    EmailPasswordReset,
    EmailSend,
    EmailUser,
    EmailWelcome,
)
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.options_pb2 import Backoff

from base.settings import Settings
from base.storage import StorageRoots
from contract.catalog import Catalog
from contract.checking import MAX_PROBLEMS, check, check_or_raise, check_payload
from contract.errors import RequestInvalidError
from contract.fields import fields_within, rules_of
from contract.masking import MASK
from contract.rule_words import words_of_pattern
from tests.contract.conftest import DONE, message, queue, serve, work

FILES = tuple(
    module.DESCRIPTOR for module in (email_pb2, enqueue_pb2, export_pb2, job_queries_pb2, processor_service_pb2)
)


@pytest.fixture
def ready(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with storage and one template."""
    StorageRoots(settings).prepare()
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "welcome.html.j2").touch()
    return settings.model_copy(update={"email_templates_dir": templates})


def told(catalog: Catalog, settings: Settings, message: Message) -> dict[str, str]:
    """What is wrong with a payload, by field."""
    job_type = catalog.by_message(message.DESCRIPTOR.full_name)
    with pytest.raises(RequestInvalidError) as error:
        check_payload(job_type, message, settings, "data")
    return {problem.field: problem.description for problem in error.value.problems}


def mail(**more: Any) -> EmailSend:
    return EmailSend(**({"to": ["a@b.c"], "subject": "s", "text": "hello"} | more))


@pytest.mark.families
def test_a_good_payload_of_every_kind_passes(catalog: Catalog, ready: Settings) -> None:
    good = [
        EmailWelcome(user=EmailUser(email="Ann <ann@example.com>")),
        mail(template="welcome", attachments=[EmailAttachment(path="uploads/a.png")], headers={"X-A": "b"}),
        EmailBatch(emails=[mail()]),
    ]
    for payload in good:
        check_payload(catalog.by_message(payload.DESCRIPTOR.full_name), payload, ready, "data")


@pytest.mark.families
def test_fields_are_named_in_json_below_the_root_and_rules_in_words(catalog: Catalog, ready: Settings) -> None:
    bad = mail(
        to=["a@b.c", "nobody"],
        subject="two\nlines",
        reply_to="x",
        headers={"X-A": "a\nb", "9": "x"},
        attachments=[EmailAttachment(path="uploads/a", filename="a/b", content=b"x")],
        list_unsubscribe=["http://a.b"],
    )

    assert told(catalog, ready, bad) == {
        "data.to[1]": "is not an e-mail address; write name@example.com or Name <name@example.com>",
        "data.subject": "must be one line; remove line breaks and NUL characters",
        "data.replyTo": "is not an e-mail address; write name@example.com or Name <name@example.com>",
        'data.headers["X-A"]': "must be one line; remove line breaks and NUL characters",
        'data.headers["9"]': "the name must begin with a letter and hold letters, digits and - alone",
        "data.attachments[0]": "set path or content, not both",
        "data.attachments[0].filename": "must be a file's name alone; remove slashes, backslashes and line breaks",
        "data.listUnsubscribe[0]": "must be a link that begins with https:// or mailto: and holds no space",
    }


@pytest.mark.families
def test_a_header_that_is_not_the_callers_is_named_with_the_remedy(catalog: Catalog, ready: Settings) -> None:
    headers = {"X-A": "a", "bCC": "evil@example.com", "Content-Type": "text/html", "Resent-To": "x", "Receiver": "me"}

    words = "the name is the service's own to set; leave it out, and use the payload's field for it where there is one"
    assert told(catalog, ready, mail(headers=headers)) == {
        f'data.headers["{name}"]': words for name in ("bCC", "Content-Type", "Resent-To")
    }


@pytest.mark.families
def test_missing_and_oversized_values_are_told_with_the_limit(catalog: Catalog, ready: Settings) -> None:
    assert told(catalog, ready, EmailPasswordReset(user=EmailUser(username="x" * 256))) == {
        "data.user.email": "is required; set it",
        "data.user.username": "must have at most 255 characters; shorten it",
        "data.resetToken": "must not be empty; set it",
        "data.expiresAt": "is required; set it",
    }
    assert told(catalog, ready, EmailBatch(options=EmailBatchOptions(batch_size=101))) == {
        "data.emails": "must hold at least 1; add some",
        "data.options.batchSize": "must be greater than or equal to 0 and less than or equal to 100",
    }
    assert told(catalog, ready, mail(to=["a@b.c"] * 101)) == {"data.to": "must hold at most 100; split it"}


@pytest.mark.families
def test_a_rule_over_several_fields_speaks_for_the_whole_message(catalog: Catalog, ready: Settings) -> None:
    assert told(catalog, ready, EmailSend(to=["a@b.c"], subject="s")) == {"data": "set template, text or html"}
    without = EmailSend(to=["a@b.c"], subject=" ", text="x")
    assert told(catalog, ready, without) == {"data": "set subject; only a template's <title> can take its place"}


def test_requests_are_checked_without_a_root_too() -> None:
    request = EnqueueJobRequest(options=JobOptions(priority=2000, delay=-1, backoff=Backoff(type="linear")))

    assert {problem.field: problem.rule for problem in check(request, "")} == {
        "options.priority": "int32.gte_lte",
        "options.delay": "double.gte_lte",
        "options.backoff.type": "string.in",
    }
    with pytest.raises(RequestInvalidError, match="must be one of fixed, exponential"):
        check_or_raise(request, "")
    check_or_raise(EnqueueJobRequest(), "")


def test_fields_below_a_map_are_named_in_json_too() -> None:
    rule = "options { [buf.validate.field] { string { max_len: 1 } } }"
    part = message("Part", f'field {{ name: "some_text" number: 1 type: TYPE_STRING {rule} }}')
    fields = (
        'field { name: "by_name" number: 1 label: LABEL_REPEATED type_name: ".PKG.Work.ByNameEntry" } '
        'nested_type { name: "ByNameEntry" options { map_entry: true } '
        'field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING } '
        'field { name: "value" number: 2 label: LABEL_OPTIONAL type_name: ".PKG.Part" } }'
    )
    payload = serve(queue() + DONE + part + work(fields=fields)).type("declared:work", "work").payload

    (problem,) = check(payload(by_name={"a b": {"some_text": "xx"}}), "data")

    assert problem.field == 'data.byName["a b"].someText'


@pytest.mark.families
def test_a_value_that_may_be_secret_is_never_repeated(catalog: Catalog, ready: Settings) -> None:
    secret = "hunter2" * 1000

    assert "hunter2" not in str(told(catalog, ready, EmailPasswordReset(reset_token=secret)))


def patterns(file: FileDescriptor) -> Iterator[str]:
    for descriptor in file.message_types_by_name.values():
        for field in fields_within(descriptor):
            rules = rules_of(field)
            for texts in (rules.string, rules.repeated.items.string, rules.map.keys.string, rules.map.values.string):
                if texts.pattern:
                    yield texts.pattern


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.rpartition("/")[2])
def test_every_pattern_of_the_contract_has_words(file: FileDescriptor) -> None:
    used = set(patterns(file))

    assert used
    assert [pattern for pattern in used if pattern in words_of_pattern(pattern)] == []


def test_a_pattern_without_words_of_its_own_is_shown() -> None:
    rule = 'options { [buf.validate.field] { string { pattern: "^x$" } } }'
    catalog = serve(queue() + DONE + work(fields=f'field {{ name: "code" number: 1 type: TYPE_STRING {rule} }}'))

    (problem,) = check(catalog.type("declared:work", "work").payload(code="y"), "data")

    assert problem.description == "must match the regular expression ^x$"


def test_a_rule_that_cannot_be_applied_is_the_callers_mistake() -> None:
    rule = '[buf.validate.field] { cel { id: "ratio" message: "m" expression: "10 / this > 2" } }'
    fields = (
        f'field {{ name: "n" number: 1 type: TYPE_INT32 proto3_optional: true oneof_index: 0 options {{ {rule} }} }}'
    )
    catalog = serve(queue() + DONE + work(fields=fields + ' oneof_decl { name: "_n" }'))

    (problem,) = check(catalog.type("declared:work", "work").payload(n=0), "data")

    assert (problem.field, problem.rule) == ("data", "evaluation")


@pytest.mark.families
def test_paths_are_held_to_the_storage_roots(catalog: Catalog, ready: Settings, tmp_path: Path) -> None:
    (ready.root("upload") / "out").symlink_to(tmp_path)
    paths = ["uploads/a.png", "/etc/passwd", "uploads/out/a.png", "uploads/../../x"]

    refused = told(catalog, ready, mail(attachments=[EmailAttachment(path=path) for path in paths]))

    assert list(refused) == [f"data.attachments[{index}].path" for index in (1, 2, 3)]
    assert "UPLOAD_DIR, TEMP_DIR, EXPORT_DIR, BACKUP_DIR, LOG_DIR" in refused["data.attachments[1].path"]


def test_paths_in_lists_are_held_to_the_storage_roots_too(ready: Settings) -> None:
    field = 'field { name: "in_files" number: 1 label: LABEL_REPEATED type: TYPE_STRING '
    catalog = serve(queue() + DONE + work(fields=field + "options { [qcollector.jobs.v1.storage_path]: true } }"))
    payload = catalog.type("declared:work", "work").payload

    assert list(told(catalog, ready, payload(in_files=["uploads/a", "/etc/passwd"]))) == ["data.inFiles[1]"]


@pytest.mark.families
def test_a_template_has_to_be_there_in_the_folder_of_the_settings_or_the_projects_own(
    catalog: Catalog, ready: Settings, tmp_path: Path
) -> None:
    own = "export-ready, form-submission, password-reset, welcome"
    (tmp_path / "mine.html.j2").write_text("mine")
    custom = ready.model_copy(update={"email_templates_dir": tmp_path})
    for name in ("mine", "welcome"):
        check_payload(catalog.type("email:send", "send"), mail(template=name), custom, "data")
    nowhere = ready.model_copy(update={"email_templates_dir": Path("/nowhere")})
    check_payload(catalog.type("email:send", "send"), mail(template="welcome"), nowhere, "data")
    answer = {"data.template": f"there is no such template; those available are {own}"}
    assert told(catalog, nowhere, mail(template="wellcome")) == answer


@pytest.mark.families
def test_the_mails_of_a_batch_are_left_for_their_turn(catalog: Catalog, ready: Settings) -> None:
    bad = mail(to=["nobody"], template="wellcome", attachments=[EmailAttachment(path="/etc/passwd")])

    check_payload(catalog.type("email:batch", "batch"), EmailBatch(emails=[bad, mail()]), ready, "data")


@pytest.mark.families
def test_nul_characters_are_refused_wherever_they_are(catalog: Catalog, ready: Settings) -> None:
    free = Struct()
    free.update({"a": [{"b": "x\0"}], "c": 1})
    refused = told(catalog, ready, mail(text="a\0", headers={"X-A\0": "b"}, to=["a@b.c", "\0@b.c"], data=free))

    assert {"data.text", r'data.headers["X-A\u0000"]', "data.to[1]", "data.data"} <= refused.keys()
    assert told(catalog, ready, EmailBatch(emails=[mail(), mail(html="\0")])) == {
        "data.emails[1].html": "holds a NUL character; remove it"
    }
    check_payload(catalog.type("email:send", "send"), mail(attachments=[EmailAttachment(content=b"\0")]), ready, "data")


@pytest.mark.families
def test_the_mask_is_not_taken_for_the_secret(catalog: Catalog, ready: Settings) -> None:
    reset = EmailPasswordReset(user=EmailUser(email="a@b.c"), reset_token=MASK)
    reset.expire_time.seconds = 2_000_000_000

    assert list(told(catalog, ready, reset)) == ["data.resetToken"]


@pytest.mark.families
def test_the_number_of_problems_is_bounded(catalog: Catalog, ready: Settings) -> None:
    with pytest.raises(RequestInvalidError) as error:
        check_payload(catalog.type("email:send", "send"), mail(to=["x"] * 100, text="\0"), ready, "data")

    assert len(error.value.problems) == MAX_PROBLEMS
    assert len(check(mail(to=["x"] * 100), "data")) == MAX_PROBLEMS


@pytest.mark.families
def test_a_valid_small_payload_costs_a_few_times_what_its_serialization_does(catalog: Catalog, ready: Settings) -> None:
    """A bound by ratio, so that it holds on a slow machine: about 8 on an idle one, thousands for a check in Python."""
    job_type = catalog.type("email:send", "welcome")
    welcome = EmailWelcome(user=EmailUser(id="1", email="user@example.com", first_name="Ann"))

    def best(call: Any) -> float:
        return min(timeit.repeat(call, number=200, repeat=15))

    checking = best(lambda: check_payload(job_type, welcome, ready, "data"))
    serializing = best(lambda: EmailWelcome.FromString(welcome.SerializeToString()))
    assert checking < 40 * serializing
