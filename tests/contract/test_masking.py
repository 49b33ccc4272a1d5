"""No sensitive value can be read in what masking answers, wherever it lies."""

import pytest
from google.protobuf.message import Message
from qcollector.jobs.v1.email_pb2 import EmailPasswordReset, EmailUser, EmailWelcome
from qcollector.jobs.v1.payload_pb2 import JobPayload
from testjobs.v1.testjobs_pb2 import Noop, Secret, SecretPart

from contract.fields import descriptor_of
from contract.masking import MASK, has_sensitive, masked, redacted
from tests.contract.conftest import DONE, queue, serve, work

SENSITIVE = "options { [qcollector.jobs.v1.sensitive]: true }"


@pytest.fixture(scope="module")
def vault() -> type[Message]:
    """A type with secrets in every place that can hold them, itself included."""
    entry = (
        'nested_type { name: "NamedEntry" options { map_entry: true } '
        'field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING } '
        'field { name: "value" number: 2 label: LABEL_OPTIONAL type_name: ".PKG.Vault" } } '
    )
    fields = (
        f'field {{ name: "token" number: 1 type: TYPE_STRING {SENSITIVE} }} '
        f'field {{ name: "tokens" number: 2 label: LABEL_REPEATED type: TYPE_STRING {SENSITIVE} }} '
        f'field {{ name: "pin" number: 3 type: TYPE_INT32 {SENSITIVE} }} '
        f'field {{ name: "key" number: 4 type: TYPE_BYTES {SENSITIVE} }} '
        'field { name: "inner" number: 5 type_name: ".PKG.Vault" } '
        'field { name: "named" number: 6 label: LABEL_REPEATED type_name: ".PKG.Vault.NamedEntry" } '
        'field { name: "other" number: 7 type_name: ".google.protobuf.Any" } '
        'field { name: "label" number: 8 type: TYPE_STRING } '
        f'field {{ name: "whole" number: 9 type_name: ".PKG.Vault" {SENSITIVE} }} '
    )
    return serve(queue() + DONE + work("Vault", "vault", fields + entry)).type("declared:work", "vault").payload


def test_texts_show_the_mask_and_other_kinds_are_cleared(vault: type[Message]) -> None:
    full = vault(
        token="s3cret", tokens=["s3cret", ""], pin=123, key=b"s3cret", label="plain", whole=vault(label="s3cret")
    )

    assert redacted(full) == vault(token=MASK, tokens=[MASK, MASK], label="plain")


def test_secrets_further_down_are_found_in_messages_lists_and_maps(vault: type[Message]) -> None:
    deep = vault(inner=vault(inner=vault(token="s3cret")), named={"a": vault(token="s3cret"), "b": vault(label="x")})

    assert redacted(deep) == vault(
        inner=vault(inner=vault(token=MASK)), named={"a": vault(token=MASK), "b": vault(label="x")}
    )
    assert redacted(Secret(parts=[SecretPart(pin="1", label="l"), SecretPart()])) == Secret(
        parts=[SecretPart(pin=MASK, label="l"), SecretPart()]
    )


def test_a_packed_message_is_looked_into_and_an_unknown_one_emptied() -> None:
    packed = JobPayload()
    packed.custom.Pack(Secret(token="s3cret", name="n"))
    shown = Secret()
    redacted(packed).custom.Unpack(shown)
    assert shown == Secret(token=MASK, name="n")

    plain = JobPayload()
    plain.custom.Pack(Noop(pad="x"))
    assert redacted(plain) == plain

    unknown = JobPayload()
    unknown.custom.type_url = "type.googleapis.com/nobody.Knows"
    unknown.custom.value = b"s3cret"
    assert b"s3cret" not in redacted(unknown).SerializeToString()


def test_unset_secrets_stay_unset_and_the_original_keeps_its_own(vault: type[Message]) -> None:
    assert redacted(vault(label="x")) == vault(label="x")
    reset = EmailPasswordReset(reset_token="s3cret", user=EmailUser(email="a@b.c"))
    assert masked(reset).reset_token == MASK
    assert masked(reset).user.email == "a@b.c"
    assert reset.reset_token == "s3cret"


def test_masking_what_is_masked_changes_nothing() -> None:
    once = masked(Secret(token="s3cret", parts=[SecretPart(pin="1")]))

    assert masked(once) == once


def test_a_type_without_secrets_is_answered_as_it_is() -> None:
    welcome = EmailWelcome(user=EmailUser(email="a@b.c"))

    assert masked(welcome) is welcome
    assert not has_sensitive(descriptor_of(EmailWelcome))
    assert has_sensitive(descriptor_of(EmailPasswordReset))
    assert has_sensitive(descriptor_of(JobPayload))
