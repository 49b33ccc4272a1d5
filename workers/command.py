"""The command that runs one worker process."""

import sys
from collections.abc import Sequence

import uvloop

from base.errors import StartError
from base.settings import load
from contract.errors import QueueUnknownError
from workers import worker


def run(queues: Sequence[str]) -> None:
    """Works for these queues, or for all, until it is told to stop, by the settings of the environment.

    Raises:
      StartError: it cannot.
    """
    try:
        uvloop.run(worker.run(load(), queues or None))
    except QueueUnknownError as error:
        raise StartError(str(error)) from None


def main() -> None:
    """The same for the queues that are typed; what keeps it from starting is said, and ends it with status 2."""
    try:
        run(sys.argv[1:])
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
