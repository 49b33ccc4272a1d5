"""`python -m service`: one gRPC service process, with its settings from the environment."""

import sys

import uvloop

from base import logs
from base.settings import SettingsError, load
from contract.catalog import CatalogError
from service.bootstrap import serve


def main() -> None:
    """Serves until it is told to stop. What cannot be started says why, and ends with status 2."""
    try:
        settings = load()
        logs.configure(settings, "service")
        uvloop.run(serve(settings))
    except (SettingsError, CatalogError) as error:
        sys.exit(f"The service cannot start.\n{error}")


if __name__ == "__main__":
    main()
