"""The release that runs."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def release() -> str:
    """Such as "0.2.0"; "source" where the package is not installed but run from its folder."""
    try:
        return version("qcollector-jobs")
    except PackageNotFoundError:
        return "source"
