"""Addresses and keys that cannot be used are refused at start, and are never printed."""

import pytest

from base.settings import SettingsError, load
from families.database.settings import DatabaseSettings
from tests.postgres import database_address

KEY = "0123456789abcdefABCDEF" + "0" * 42


def test_a_key_of_64_hexadecimal_digits_is_taken() -> None:
    settings = load(encryption_key=KEY)
    key = DatabaseSettings.of(settings).encryption_key
    assert key is not None
    assert key.get_secret_value() == KEY
    assert KEY not in repr(settings)


@pytest.mark.parametrize("key", [KEY[:-1], KEY + "0", "g" + KEY[1:], "secret", KEY + "\n", "٣" * 64])
def test_any_other_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(SettingsError, match=r"ENCRYPTION_KEY: .*64 hexadecimal digits") as refused:
        load(encryption_key=key)
    assert key not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_an_address_is_taken_in_every_usual_spelling(scheme: str) -> None:
    settings = load(database_url=f"{scheme}://user:hush@host:5432/data?sslmode=require")
    assert database_address(settings) == "postgresql://user:hush@host:5432/data?sslmode=require"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize("address", ["mysql://user:hush@host/data", "host:5432/data", "postgresql:host", "hush"])
def test_any_other_address_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL: ") as refused:
        load(database_url=address)
    assert "hush" not in str(refused.value)
