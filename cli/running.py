"""Carries out what a command means, and turns whatever keeps it from its end into one line and an exit status."""

import asyncio
import os
import sys
from typing import Final

from cli.access import Wishes, access
from cli.command import Action
from cli.exits import CommandError, Exit
from cli.output.screen import Screen
from cli.output.text import harmless

# gRPC's own log lines would stand beside the errors, which say the same in plain words.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from cli.complaints import complaint
from cli.session import Session
from client import JobsError

DEBUG: Final = "QJOBS_DEBUG"


def perform(action: Action, wishes: Wishes, format_: str, quiet: bool) -> int:
    """The exit status."""
    screen = Screen(format_, quiet=quiet)
    try:
        status = asyncio.run(carry_out(action, wishes, screen))
        screen.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # What is still buffered would be written, and fail, once more at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE
    return status


async def carry_out(action: Action, wishes: Wishes, screen: Screen) -> Exit:
    """The exit status; what went wrong has been said."""
    address = wishes.address
    try:
        found = access(wishes, os.environ)
        address = found.address
        async with Session(found, screen) as session:
            return await action(session) or Exit.OK
    except CommandError as error:
        screen.complain(harmless(str(error)))
        return error.status
    except JobsError as error:
        text, status = complaint(error, address)
        screen.complain(text)
        return status
    except BrokenPipeError:
        raise
    except OSError as error:
        screen.complain(harmless(str(error)))
        return Exit.USAGE
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        screen.complain(f"A fault of this command: {harmless(repr(error))}. {DEBUG}=1 shows where.")
        return Exit.INTERNAL
