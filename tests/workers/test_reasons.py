"""Why a job failed is told in words for whoever looks at the job."""

import errno
import os

import pytest

from workers.outcomes import plain_reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/data/out"), "/data/out: Read-only file system"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), b"/data/out"), "/data/out: Read-only file system"),
        (
            FileExistsError("/data/out/a.csv: another file was put there just now"),
            "/data/out/a.csv: another file was put there just now",
        ),
        (KeyError("form"), "the handler failed unexpectedly ('form'); the worker's log has the traceback"),
        (RuntimeError(), "the handler failed without a reason; the worker's log has the traceback"),
    ],
)
def test_a_reason_has_neither_the_names_of_classes_nor_the_numbers_of_errors(error: Exception, reason: str) -> None:
    assert plain_reason(error) == reason
