"""What the scheduler does for exports: it removes those whose time is over."""

from typing import Final

from families.exports.retention import tidy_exports

DUTIES: Final = (tidy_exports,)
