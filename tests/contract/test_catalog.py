"""What a contract declares is what the catalog says, and a contract that cannot be served is refused with a remedy."""

import sys
from pathlib import Path

import pytest
from qcollector.jobs.v1 import email_pb2, payload_pb2
from qcollector.jobs.v1.options_pb2 import Role
from qcollector.jobs.v1.payload_pb2 import JobPayload
from testjobs.v1 import testjobs_pb2

from base.settings import Settings
from contract.catalog import Catalog, CatalogError, catalog_of, check_handlers, concurrency, load_catalog
from contract.declarations import QueuePolicy, _differences
from contract.errors import JobTypeUnknownError, QueueUnknownError, RequestInvalidError
from tests.contract.conftest import DONE, OWN_FILES, declare, message, queue, serve, work

PACKAGE = "qcollector.jobs.v1"


def refused(*texts: str) -> str:
    with pytest.raises(CatalogError) as error:
        serve(*texts)
    return str(error.value)


@pytest.mark.families
def test_a_type_takes_its_routing_and_policy_from_its_declaration(catalog: Catalog) -> None:
    welcome = catalog.type("email:send", "welcome")

    assert welcome.key == "email:send/welcome"
    assert welcome.payload is email_pb2.EmailWelcome
    assert welcome.result is email_pb2.EmailWelcomeResult
    assert welcome.member == "email_welcome"
    assert (welcome.attempts, welcome.exponential, welcome.backoff, welcome.timeout) == (3, True, 2000, 120_000)
    assert welcome.minimum_role == Role.ROLE_SERVICE
    assert welcome.description == "Greets a new user."
    assert not welcome.sensitive
    assert catalog.type("email:send", "password-reset").sensitive
    assert catalog.by_message("qcollector.jobs.v1.EmailWelcome") is welcome


@pytest.mark.families
def test_every_type_of_the_contract_is_found_by_queue_and_word(catalog: Catalog) -> None:
    assert set(load_catalog().types) >= {
        "email:batch/batch",
        *(f"email:send/{word}" for word in ("send", "welcome", "submission-notification", "password-reset")),
        "email:send/export-notification",
        *(f"export:data/{word}" for word in ("csv", "json", "excel", "form-submissions")),
        *(f"file:process/{word}" for word in ("image-process", "compress", "virus-scan")),
        "file:cleanup/cleanup",
        *(f"analytics:calculate/{word}" for word in ("form-stats", "system-analytics", "user-activity")),
        *(f"system:cleanup/{word}" for word in ("cleanup", "health-check")),
        "system:backup/backup",
    }
    for job_type in catalog.types.values():
        assert catalog.type(job_type.queue, job_type.type) is job_type


@pytest.mark.families
def test_every_type_has_the_attempts_that_the_specification_gives_to_its_family(catalog: Catalog) -> None:
    """Three for mails and files, two for exports, one or two for the system; those of analytics are not specified."""
    types = [each for each in catalog.types.values() if each.payload.DESCRIPTOR.full_name.startswith(PACKAGE)]
    found: dict[str, set[tuple[int, bool]]] = {}
    for each in types:
        found.setdefault(each.queue.partition(":")[0], set()).add((each.attempts, each.exponential))
    assert found.pop("analytics")
    assert found.pop("system") <= {(1, False), (2, False)}
    assert found == {"email": {(3, True)}, "file": {(3, False)}, "export": {(2, False)}}
    assert [catalog.type(*name).attempts for name in (("email:batch", "batch"), ("file:cleanup", "cleanup"))] == [3, 3]


def test_what_a_declaration_leaves_out_has_its_documented_default() -> None:
    bare = serve(queue() + DONE + work()).type("declared:work", "work")

    assert (bare.attempts, bare.timeout, bare.backoff, bare.exponential, bare.retention) == (1, 600_000, 0, False, 0)
    assert bare.minimum_role == Role.ROLE_ADMIN


def test_retention_is_declared_in_hours() -> None:
    kept = serve(queue() + DONE + work(more="retention_hours: 2")).type("declared:work", "work")

    assert kept.retention == 2 * 60 * 60 * 1000


@pytest.mark.families
def test_a_queue_keeps_the_figures_of_its_file(catalog: Catalog) -> None:
    assert catalog.queue("email:batch") == QueuePolicy("email:batch", "email", 2, 0, 50, 25)
    assert catalog.queue("test:serial").max_active == 1


@pytest.mark.families
def test_unknown_names_are_refused_with_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(QueueUnknownError, match=r"email:batch, email:send, .*test:serial, test:work") as unknown_queue:
        catalog.type("email:sned", "welcome")
    assert unknown_queue.value.metadata == {"queue": "email:sned"}
    with pytest.raises(JobTypeUnknownError, match=r"password-reset, send, submission-notification, welcome") as unknown:
        catalog.type("email:send", "welcom")
    assert unknown.value.metadata == {"queue": "email:send", "type": "welcom"}


def test_payloads_are_wrapped_and_found_again_under_their_member(catalog: Catalog) -> None:
    for job_type in catalog.types.values():
        wrapped = catalog.wrap_payload(job_type, job_type.payload())
        assert wrapped.WhichOneof("payload") == job_type.member
        assert catalog.of_payload(wrapped) == (job_type, job_type.payload())


@pytest.mark.families
def test_a_stored_result_is_wrapped_under_its_member(catalog: Catalog) -> None:
    mail = catalog.wrap_result(
        catalog.type("email:send", "welcome"), email_pb2.EmailWelcomeResult(message_id="x").SerializeToString()
    )
    assert mail.email_welcome.message_id == "x"
    other = catalog.wrap_result(
        catalog.type("test:work", "script"), testjobs_pb2.ScriptResult(starts=2).SerializeToString()
    )
    unpacked = testjobs_pb2.ScriptResult()
    assert other.custom.Unpack(unpacked)
    assert unpacked.starts == 2


def test_a_payload_without_a_member_or_with_broken_bytes_is_the_callers_mistake(catalog: Catalog) -> None:
    with pytest.raises(RequestInvalidError, match="payload: set the member"):
        catalog.of_payload(JobPayload())
    broken = JobPayload()
    broken.custom.type_url = "type.googleapis.com/testjobs.v1.Noop"
    broken.custom.value = b"\xff"
    with pytest.raises(RequestInvalidError, match=r"payload\.custom"):
        catalog.of_payload(broken)
    broken.custom.type_url = "type.googleapis.com/google.protobuf.Struct"
    with pytest.raises(JobTypeUnknownError):
        catalog.of_payload(broken)


@pytest.mark.families
def test_a_custom_payload_may_also_carry_a_type_of_the_contract(catalog: Catalog) -> None:
    packed = JobPayload()
    packed.custom.Pack(email_pb2.EmailWelcome())
    assert catalog.of_payload(packed)[0].key == "email:send/welcome"


def test_a_type_in_a_queue_that_nobody_declares_is_refused() -> None:
    assert "no file declares the queue 'declared:work'" in refused(DONE + work())


def test_a_queue_may_be_declared_in_another_file_than_its_types() -> None:
    catalog = serve(DONE + work(), queue())

    assert "declared:work/work" in catalog.types


def test_two_types_with_one_key_are_refused() -> None:
    assert "is declared:work/work already" in refused(queue() + DONE + work("First") + work("Second"))


def test_two_queues_with_one_name_are_refused() -> None:
    assert "another file declares a queue of that name" in refused(queue(), queue())


def test_a_result_message_that_does_not_exist_is_refused() -> None:
    assert "the result message 'Done' does not exist" in refused(queue() + work())


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (queue("Bad Name") + DONE, "set `name` to lower-case words"),
        (queue(more="concurrency: -1") + DONE, "no figure may be negative"),
        (queue() + DONE + work(word="Work!"), "set a lower-case word"),
        (queue() + DONE + work(more='backoff { type: "linear" }'), "set `fixed` or `exponential`"),
        (queue() + DONE + work(more="backoff { jitter: 2 }"), "set a share from 0 to 1"),
        (queue() + DONE + work(more="attempts: -1"), "no figure may be negative"),
    ],
)
def test_a_figure_or_word_that_cannot_be_served_is_refused_with_its_remedy(text: str, remedy: str) -> None:
    assert remedy in refused(text)


def test_rules_that_do_not_compile_are_refused_at_boot() -> None:
    rule = '[buf.validate.field] { cel { id: "x" expression: "(" } }'
    fields = f'field {{ name: "n" number: 1 type: TYPE_INT32 options {{ {rule} }} }}'

    assert "its rules do not compile" in refused(queue() + DONE + work(fields=fields))


def test_a_path_mark_on_a_field_that_is_no_string_is_refused_rather_than_without_effect() -> None:
    part = message(
        "Part", 'field { name: "n" number: 1 type: TYPE_INT32 options { [qcollector.jobs.v1.storage_path]: true } }'
    )
    fields = 'field { name: "part" number: 1 type_name: ".PKG.Part" }'

    assert "for strings alone" in refused(queue() + DONE + part + work(fields=fields))


def test_reserved_keys_on_a_field_that_is_no_map_are_refused_as_well() -> None:
    fields = 'field { name: "n" number: 1 type: TYPE_STRING options { [qcollector.jobs.v1.reserved_keys]: "a" } }'

    assert "for maps with strings as keys" in refused(queue() + DONE + work(fields=fields))


def test_a_type_of_the_contracts_own_package_needs_its_members() -> None:
    text = queue("lonely:work") + message(
        "Lonely", "", 'queue: "lonely:work" type: "alone-now" result: "EmailWelcomeResult"'
    )
    with pytest.raises(CatalogError) as error:
        catalog_of([*OWN_FILES, declare(text, PACKAGE)])

    assert set(error.value.problems) == {
        f"{union} has no member for {name}: add `{name} lonely_alone_now = <the next number>;`"
        for union, name in (("JobPayload", "Lonely"), ("JobResult", "EmailWelcomeResult"))
    }


@pytest.mark.families
def test_members_without_a_type_or_of_another_message_are_refused() -> None:
    option = 'queue: "email:send" type: "welcome" result: "EmailWelcomeResult"'
    text = queue("email:send") + message("Twin", option=option)
    with pytest.raises(CatalogError) as error:
        catalog_of([payload_pb2.DESCRIPTOR, declare(text, PACKAGE)])

    assert any("JobPayload.email_welcome is not a Twin" in problem for problem in error.value.problems)


def test_members_of_files_that_are_read_must_have_types_and_those_of_other_families_need_none() -> None:
    members = payload_pb2.JobPayload.DESCRIPTOR.oneofs_by_name["payload"]
    problems = list(_differences(members, {}, {email_pb2.DESCRIPTOR.name}))
    assert any("JobPayload.email_batch belongs to no job type" in problem for problem in problems)
    assert not any("file_compress" in problem for problem in problems)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(CatalogError) as error:
        serve(queue("Bad") + work("A", "a") + work("B", "b"))

    assert len(error.value.problems) == 3


def test_a_plugin_that_is_not_there_or_declares_nothing_is_refused_by_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CatalogError, match="JOB_PLUGINS names no_such_plugin"):
        load_catalog(("no_such_plugin",))
    (tmp_path / "empty_plugin").mkdir()
    (tmp_path / "empty_plugin" / "contract.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CatalogError, match="imports no generated module"):
        load_catalog(("empty_plugin",))
    (tmp_path / "broken_plugin").mkdir()
    (tmp_path / "broken_plugin" / "contract.py").write_text("import something_not_installed")
    with pytest.raises(ModuleNotFoundError, match="something_not_installed"):
        load_catalog(("broken_plugin",))
    for name in ("empty_plugin", "broken_plugin"):
        sys.modules.pop(name, None)


def test_boot_wants_a_handler_for_each_type_and_a_type_for_each_handler(catalog: Catalog) -> None:
    handlers = {job_type.payload.DESCRIPTOR.full_name: object() for job_type in catalog.types.values()}
    check_handlers(catalog, handlers)

    missing = {name: handler for name, handler in handlers.items() if name != "testjobs.v1.Noop"}
    with pytest.raises(CatalogError, match=r"test:work/noop has no handler: write one with @handles\(Noop\)"):
        check_handlers(catalog, missing)
    with pytest.raises(CatalogError, match=r"the handler of testjobs\.v1\.Gone serves no job type"):
        check_handlers(catalog, handlers | {"testjobs.v1.Gone": object()})


@pytest.mark.families
def test_a_worker_runs_as_many_jobs_as_the_lower_of_family_and_queue_allows(
    catalog: Catalog, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert concurrency(catalog.queue("email:send"), settings) == 5
    assert concurrency(catalog.queue("email:batch"), settings) == 2
    lowered = settings.model_copy(update={"email_concurrency": 1})
    assert concurrency(catalog.queue("email:batch"), lowered) == 1
    monkeypatch.setenv("TEST_CONCURRENCY", "3")
    assert concurrency(catalog.queue("test:work"), settings) == 3
