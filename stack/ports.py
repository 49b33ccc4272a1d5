"""Which TCP ports are free."""

import random
import socket
from collections.abc import Container, Mapping
from typing import Final

from stack.errors import StackError

LOOPBACK: Final = "127.0.0.1"
CHOICE: Final = range(20_000, 32_000)
"""Below the range from which the kernel gives outgoing connections their ports, which could take one any moment."""


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def reachable(bind_host: str) -> str:
    """An address of this machine at which a server that listens on `bind_host` answers."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(bind_host, bind_host)  # noqa: S104  (it is what is looked for)


def free_port(avoid: Container[int] = ()) -> int:
    """A port on the loopback interface that nobody listens on, none of `avoid`."""
    for port in random.sample(CHOICE, 1000):
        if port not in avoid and is_free(LOOPBACK, port):
            return port
    raise StackError(f"No free port was found between {CHOICE.start} and {CHOICE.stop} on {LOOPBACK}.")


def require_free(host: str, ports: Mapping[str, int]) -> None:
    """Raises StackError for every port that is taken, or given twice, naming its variable."""
    problems = []
    seen: dict[int, str] = {}
    for variable, port in ports.items():
        if port in seen:
            problems.append(f"{variable} and {seen[port]} are both {port}. Set one of them to another port.")
        elif not is_free(host, port):
            problems.append(
                f"{variable}: another program listens on {host}:{port}. End it, or set {variable} to a free port."
            )
        seen[port] = variable
    if problems:
        raise StackError("\n".join(problems))
