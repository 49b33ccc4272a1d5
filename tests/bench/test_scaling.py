"""The simulation of deployments agrees with what can be told without it."""

import statistics

import pytest

from bench.scaling.costs import Costs, Script
from bench.scaling.model import Deployment, Simulation

COSTS = Costs(
    unary=200e-6, row=20e-6, run=30e-6, enqueue=Script(50e-6, 5e-6), claim=Script(100e-6, 10e-6), held_bytes=750.0
)


def test_alone_a_job_takes_what_its_steps_cost() -> None:
    times = Simulation(COSTS, Deployment(), rate=1.0).run(200.0)
    answered = COSTS.unary + COSTS.enqueue.of(1)
    assert statistics.median(times.enqueued) == pytest.approx(answered)
    assert statistics.median(times.started) == pytest.approx(answered + COSTS.claim.of(1))


@pytest.mark.parametrize(
    ("deployment", "short"),
    [
        (Deployment(), "services"),
        (Deployment(services=2, workers=3, batch=100), "stores"),
        (Deployment(services=30, stores=4, queues=4), "workers"),
        (Deployment(services=4, slots=10, handler=0.1), "slots"),
    ],
)
def test_beyond_its_limit_a_deployment_finishes_as_many_jobs_as_it_says(deployment: Deployment, short: str) -> None:
    limits = deployment.limits(COSTS)
    assert min(limits, key=lambda kind: limits[kind]) == short
    seconds = 4_000 * max(1, deployment.batch / 20) / limits[short]
    finished = Simulation(COSTS, deployment, rate=1.3 * limits[short]).run(seconds).finished
    assert 0.75 < finished / seconds / limits[short] < 1.01


def test_waiting_grows_with_the_load() -> None:
    deployment = Deployment()
    limit = min(deployment.limits(COSTS).values())
    medians = [
        statistics.median(Simulation(COSTS, deployment, share * limit).run(2000 / limit / share).started)
        for share in (0.3, 0.7, 0.95)
    ]
    assert medians == sorted(medians)
    assert medians[2] > 2 * medians[0]


def test_one_queue_gains_nothing_from_more_stores() -> None:
    one, four = (Deployment(services=8, stores=stores).limits(COSTS)["stores"] for stores in (1, 4))
    assert one == four
