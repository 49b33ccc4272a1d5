"""Any sequence of what callers, workers, operators and time may do keeps the engine in step with a plain model of it."""

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from base.settings import Settings
from contract.catalog import Catalog

from .model.lists import ListsMachine
from .model.times import TimesMachine
from .model.watching import WatchingMachine


class EngineMachine(ListsMachine, WatchingMachine, TimesMachine):
    """All rules at once."""


def test_the_engine_and_the_model_agree_whatever_is_done(
    request: pytest.FixtureRequest, settings: Settings, catalog: Catalog
) -> None:
    EngineMachine.base, EngineMachine.catalog = settings, catalog
    on_cluster = request.node.callspec.params["settings"] == "cluster"
    run_state_machine_as_test(
        EngineMachine,
        settings=hypothesis_settings(
            max_examples=20 if on_cluster else 60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
