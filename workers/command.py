"""The command that runs one worker process."""

import sys

import uvloop

from base.settings import SettingsError, load
from contract.catalog import CatalogError
from contract.errors import QueueUnknownError
from workers.worker import run


def main() -> None:
    try:
        uvloop.run(run(load(), sys.argv[1:] or None))
    except (SettingsError, CatalogError, QueueUnknownError) as error:
        sys.exit(str(error))
