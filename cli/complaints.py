"""Refusals of the service, in words for whoever typed the command."""

import re
from typing import Final

from grpc import StatusCode

from cli.exits import Exit
from cli.output.text import harmless
from cli.output.times import in_words
from client import JobsError

STATUSES: Final = {
    StatusCode.INVALID_ARGUMENT: Exit.INVALID,
    StatusCode.OUT_OF_RANGE: Exit.INVALID,
    StatusCode.NOT_FOUND: Exit.NOT_FOUND,
    StatusCode.UNAUTHENTICATED: Exit.DENIED,
    StatusCode.PERMISSION_DENIED: Exit.DENIED,
    StatusCode.UNAVAILABLE: Exit.UNAVAILABLE,
    StatusCode.DEADLINE_EXCEEDED: Exit.UNAVAILABLE,
    StatusCode.RESOURCE_EXHAUSTED: Exit.UNAVAILABLE,
    StatusCode.ABORTED: Exit.CONFLICT,
    StatusCode.ALREADY_EXISTS: Exit.CONFLICT,
    StatusCode.FAILED_PRECONDITION: Exit.CONFLICT,
}
_LAST_ERROR: Final = re.compile(r".*last error: (?:[A-Z_]+: )?", re.DOTALL)


def complaint(error: JobsError, address: str) -> tuple[str, Exit]:
    """What to say, a line for each field at fault, and the exit status."""
    status = STATUSES.get(error.code, Exit.INTERNAL)
    if not error.reason and status is Exit.UNAVAILABLE:
        return _unreachable(error, address), status
    if not error.reason and error.code is StatusCode.UNIMPLEMENTED:
        return f"{harmless(address)} does not know this call: it runs an older release, or is another service.", status
    if error.violations:
        lines = [f"  {harmless(one.field)}: {harmless(one.description)}" for one in error.violations]
        return "\n".join(["The service refuses the request:", *lines]), status
    again = f" Try again in {in_words(error.retry_after * 1000)}." if error.retry_after else ""
    return harmless(str(error)) + again, status


def _unreachable(error: JobsError, address: str) -> str:
    """Nobody answered, or somebody who does not speak as we do."""
    where = f"The service at {harmless(address)}"
    if error.code is StatusCode.DEADLINE_EXCEEDED:
        return f"{where} did not answer in time. Look whether it and its store are well."
    if error.code is StatusCode.RESOURCE_EXHAUSTED:
        return f"{where} sends more than this command takes: {harmless(str(error))}."
    cause = harmless(_LAST_ERROR.sub("", str(error))).rstrip(".")
    if "WRONG_VERSION_NUMBER" in cause:
        return f"{where} does not speak TLS: leave out --tls, --ca and --cert."
    if "CERTIFICATE_VERIFY_FAILED" in cause or "certificate verify failed" in cause:
        return f"{where} shows a certificate of an authority that is not known: name it by --ca."
    return (
        f"{where} cannot be reached: {cause}. Look whether it runs, whether --address (QJOBS_ADDRESS) names it, and whether it "
        "wants --tls, --ca or --cert."
    )
