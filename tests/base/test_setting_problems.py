"""A setting that cannot be used is named with its cause and what to write instead, and its value is not shown."""

import pytest

from base.settings import SettingsError, load

WRONG = {
    "ENABLE_QUEUE_SERVICE": ("maybe", "neither true nor false; write one of the two"),
    "REST_PORT": ("70000", "must be at most 65535"),
    "GRPC_PORT": ("x1", "is not a whole number"),
    "LOG_LEVEL": ("loud", "must be 'debug', 'info', 'warning' or 'error'"),
    "BACKUP_RECIPIENT": ("zz9", "begins with age1"),
    "ALERT_EMAIL": ("nobody", "name@example.com"),
    "SMTP_TIMEOUT_SECONDS": ("0", "must be more than 0"),
    "EMAIL_CONCURRENCY": ("1.5", "is not a whole number"),
    "REDIS_MAX_CONNECTIONS": ("2", "must be at least 10"),
    "REDIS_KEY_PREFIX": ("a b", "letters, digits and . _ -"),
    "PUBLIC_API_URL": ("ftp://x", "https://api.example.com"),
}


@pytest.mark.families
def test_each_names_the_variable_the_cause_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (value, _) in WRONG.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    lines = {line.strip().partition(": ")[0]: line.strip() for line in str(caught.value).splitlines()[1:]}
    assert set(lines) == set(WRONG)
    for name, (value, remedy) in WRONG.items():
        assert remedy in lines[name]
        assert value not in lines[name].partition(": ")[2].replace(remedy, "").split()
        assert "Input should" not in lines[name]
        assert "^" not in lines[name]
