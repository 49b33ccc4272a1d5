"""The platform with one plugin that takes part in everything: tests/plugin/greetings."""

from collections.abc import AsyncIterator

import pytest

from base.settings import Settings, load
from tests.service.conftest import Running, serving

PLUGINS = ("testjobs", "greetings")


@pytest.fixture
def greeting_settings(settings: Settings) -> Settings:
    told = {name: getattr(settings, name) for name in settings.model_fields_set - {"job_plugins"}}
    return load(**told, job_plugins=PLUGINS)


@pytest.fixture
async def greeter(greeting_settings: Settings) -> AsyncIterator[Running]:
    """A service with the plugin."""
    async with serving(greeting_settings) as started:
        yield started
