"""Settings that orchestrators hand over as files."""

from pathlib import Path

import pytest

from base.settings import SettingsError, load

SECRET = "a-secret-that-comes-as-a-file"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("JWT_SECRET", "SMTP_USER", "SMTP_PASSWORD", "REDIS_URL", "CORS_ORIGIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["jwt_secret", "JWT_SECRET"])
def test_a_file_named_after_a_setting_is_its_value(folder: Path, name: str) -> None:
    (folder / name).write_text(f"{SECRET}\n")
    settings = load()
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == SECRET
    assert SECRET not in repr(settings)


def test_a_file_may_be_a_link_to_elsewhere_as_kubernetes_makes_them(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("data") / "jwt_secret"
    target.write_text(SECRET)
    (folder / "jwt_secret").symlink_to(target)
    assert load().jwt_secret is not None


def test_the_environment_has_precedence_and_empty_files_count_as_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "jwt_secret").write_text("of-the-file")
    (folder / "redis_password").write_text("\n")
    (folder / "cors_origin").write_text("https://a.example, https://b.example")
    monkeypatch.setenv("JWT_SECRET", SECRET)
    settings = load()
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == SECRET
    assert settings.redis_password is None
    assert settings.cors_origin == ("https://a.example", "https://b.example")


def test_a_folder_that_is_none_and_a_file_that_cannot_be_read_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "jwt_secret").write_bytes(b"\xff" + SECRET.encode())
    with pytest.raises(SettingsError, match=r"jwt_secret of SECRETS_DIR: is no text") as refused:
        load()
    assert SECRET not in str(refused.value)
    monkeypatch.setenv("SECRETS_DIR", str(folder / "jwt_secret"))
    with pytest.raises(SettingsError, match=r"SECRETS_DIR=.*: no folder"):
        load()


@pytest.mark.families
def test_what_a_file_says_is_held_to_the_same_rules(folder: Path) -> None:
    (folder / "database_url").write_text("mysql://user:hush@host/data")
    with pytest.raises(SettingsError, match="DATABASE_URL: ") as refused:
        load()
    assert "hush" not in str(refused.value)
