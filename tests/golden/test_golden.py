"""Each RPC, called through a real gateway, sends and answers what its golden file shows.

After a change of the contract, `make golden` writes the files anew; look at what `git diff` says before you commit them.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from qcollector.jobs.v1 import analytics_service_pb2, job_service_pb2, processor_service_pb2, schedule_service_pb2

from tests.golden.examples import EXAMPLES
from tests.golden.normalising import normalised
from tests.golden.stage import Exchange, Stage

FILES: Final = Path(__file__).parent / "files"
WRITING: Final = os.environ.get("GOLDEN") == "write"
SERVICES: Final[tuple[ServiceDescriptor, ...]] = tuple(
    service
    for module in (job_service_pb2, schedule_service_pb2, analytics_service_pb2, processor_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)
RPCS: Final = [f"{service.name}.{method.name}" for service in SERVICES for method in service.methods]


@pytest.fixture(scope="module")
def exchanges(stage: Stage) -> dict[str, Exchange]:
    """What every example sends and gets, in the order in which they stand: some build on earlier ones."""
    return {rpc: normalised(example(stage)) for rpc, example in EXAMPLES.items()}


def test_every_rpc_has_an_example_and_a_file_and_nothing_else_has() -> None:
    assert sorted(EXAMPLES) == sorted(RPCS)
    if not WRITING:
        assert sorted(path.stem for path in FILES.iterdir()) == sorted(RPCS)


@pytest.mark.parametrize("rpc", RPCS)
def test_a_call_is_as_its_golden_file_shows(rpc: str, exchanges: dict[str, Exchange]) -> None:
    file = FILES / f"{rpc}.json"
    found = exchanges[rpc]
    if WRITING:
        file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
    expected: Any = json.loads(file.read_text("utf-8"))
    assert found == expected, f"{rpc} has changed. If that is meant, run `make golden` and commit {file.name}."
