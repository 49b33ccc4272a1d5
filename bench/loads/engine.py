"""The engine without gRPC, as a program that enqueues in its own process has it."""

from qcollector.jobs.v1.job_pb2 import Caller
from testjobs.v1.testjobs_pb2 import Mark, Noop

from bench.loads import requests
from contract.admission import Admission, Origin
from contract.catalog import load_catalog
from contract.new_job import NewJob
from engine.intake import Intake
from engine.store import Store


class Enqueuer:
    """Admission and intake on a store."""

    def __init__(self, store: Store) -> None:
        self.intake = Intake(store, requests.SETTINGS)
        self._admission = Admission(load_catalog(requests.SETTINGS.job_plugins), requests.SETTINGS)
        self._origin = Origin(Caller(id="bench", name="Bench", role="admin"))

    def job(self, payload: Noop | Mark) -> NewJob:
        """All that is done for a job before it is stored: checks, options in force, id, envelope."""
        return self._admission.admit(requests.request(payload), self._origin).job
