"""The command that runs one service process."""

import sys

import uvloop

from base import logs
from base.errors import StartError
from base.settings import load
from service.bootstrap import serve


def run() -> None:
    """Serves until it is told to stop, by the settings of the environment. Raises StartError if it cannot."""
    settings = load()
    logs.configure(settings, "service")
    uvloop.run(serve(settings))


def main() -> None:
    """The same; what keeps it from starting is said, and ends it with status 2."""
    try:
        run()
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
