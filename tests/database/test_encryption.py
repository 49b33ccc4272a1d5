"""Encrypted answers are read as the application writes them, and nothing forged is ever taken for an answer."""

import json

import pytest
from pydantic import SecretStr

from families.database.encryption import UNREADABLE, AnswerCipher

KEY = SecretStr("00112233445566778899aabbccddeeff" * 2)
# Written by Node's crypto.createCipheriv("aes-256-gcm", …), as the application does it.
STORED = {
    "iv": "0f0e0d0c0b0a09080706050403020100",
    "encryptedData": "033e1280f23056c1e41919239c7808d11c404992fdac715948",
    "authTag": "5852e3ff01ff9a785a225d9ac4dd837f",
}
ANSWER = "สวัสดี, Zoë!"


def flipped(digits: str) -> str:
    """The same with its first bit turned."""
    return f"{int(digits[0], 16) ^ 8:x}{digits[1:]}"


def test_what_the_application_wrote_is_read() -> None:
    cipher = AnswerCipher(KEY)
    assert cipher.decrypt(json.dumps(STORED)) == ANSWER
    assert cipher.unreadable == 0


def test_it_is_written_as_the_application_writes_it() -> None:
    stored = AnswerCipher(KEY).encrypt(ANSWER, bytes.fromhex(STORED["iv"]))
    assert json.loads(stored) == STORED


def test_no_two_answers_are_encrypted_alike() -> None:
    cipher = AnswerCipher(KEY)
    stored = {cipher.encrypt(ANSWER) for _ in range(100)}
    assert len({json.loads(each)["iv"] for each in stored}) == 100
    assert {cipher.decrypt(each) for each in stored} == {ANSWER}


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(json.dumps(STORED | {"iv": flipped(STORED["iv"])}), id="another iv"),
        pytest.param(json.dumps(STORED | {"encryptedData": flipped(STORED["encryptedData"])}), id="another text"),
        pytest.param(json.dumps(STORED | {"authTag": flipped(STORED["authTag"])}), id="another tag"),
        pytest.param(json.dumps(STORED | {"authTag": STORED["authTag"][:8]}), id="a tag cut short"),
        pytest.param(
            json.dumps(
                STORED
                | {
                    "encryptedData": STORED["encryptedData"] + STORED["authTag"][:2],
                    "authTag": STORED["authTag"][2:],
                }
            ),
            id="a tag whose beginning is in the text",
        ),
        pytest.param(json.dumps(STORED | {"iv": ""}), id="no iv"),
        pytest.param(json.dumps(STORED | {"iv": "xyz"}), id="no hexadecimal"),
        pytest.param(json.dumps({"iv": STORED["iv"]}), id="parts missing"),
        pytest.param(json.dumps(STORED | {"authTag": None}), id="null"),
        pytest.param("[]", id="another JSON"),
        pytest.param("plain text", id="no JSON"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_was_tampered_with_is_unreadable_and_counted(stored: str) -> None:
    cipher = AnswerCipher(KEY)
    assert cipher.decrypt(stored) == UNREADABLE
    assert cipher.unreadable == 1
    assert cipher.decrypt(json.dumps(STORED)) == ANSWER


def test_another_key_reads_nothing() -> None:
    cipher = AnswerCipher(SecretStr("ff" * 32))
    assert cipher.decrypt(json.dumps(STORED)) == UNREADABLE


def test_without_a_key_nothing_is_read_or_written() -> None:
    cipher = AnswerCipher(None)
    assert cipher.decrypt(json.dumps(STORED)) == UNREADABLE
    assert cipher.unreadable == 1
    with pytest.raises(ValueError, match="ENCRYPTION_KEY"):
        cipher.encrypt(ANSWER)
