"""`qjobs up`: a whole stack on this machine, until it is told to stop."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from qcollector.jobs.v1.job_pb2 import Caller

from base.settings import Settings
from cli.access import LOCAL_STACK, is_loopback
from stack import board
from stack.embedded import embedded
from stack.folder import DataFolder
from stack.plan import Plan, plan
from stack.ports import reachable
from stack.processes import QjobsCommand, Service
from stack.rotation import keep_small
from stack.served_files import has_board
from stack.supervisor import Supervisor
from stack.tokens import sign

TOKEN_SECONDS: Final = 7 * 24 * 3600
STATS_CALL: Final = "qcollector.jobs.v1.JobService/ListQueueStats"


def up(settings: Settings, services: int, workers: int) -> None:
    """Runs the stack until SIGTERM or SIGINT.

    Raises:
      StackError, SettingsError, CatalogError: it cannot be started; nothing of it is left running.
    """
    began = time.monotonic()
    folder = DataFolder(settings.data_dir)
    with folder.held(say=lambda text: say("stack", text)):
        stack = plan(settings, folder, workers, services)
        board.build_for_stack(settings, say=lambda text: say("board", text))

        async def body() -> None:
            with known_to_operators(stack, folder):
                click.echo(welcome(stack, time.monotonic() - began))
                await keep_small(stack.logs)

        asyncio.run(supervisor(stack, folder).run(body))
    say("stack", "stopped")


@contextlib.contextmanager
def known_to_operators(stack: Plan, folder: DataFolder) -> Iterator[None]:
    """Lets the commands for operators find the stack and its development token, below DATA_DIR, as long as it runs.

    Nothing is told of a stack whose secret is not its own, that answers elsewhere than here, or that wants certificates.
    """
    settings = stack.settings
    host = reachable(settings.bind_host)
    path = folder.root / LOCAL_STACK
    if stack.secret and is_loopback(host) and settings.grpc_tls_cert is None:
        address = f"[{host}]:{settings.grpc_port}" if ":" in host else f"{host}:{settings.grpc_port}"
        token = development_token(stack, TOKEN_SECONDS)
        folder.write_private(path, json.dumps({"address": address, "token": token}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def supervisor(stack: Plan, folder: DataFolder) -> Supervisor:
    return Supervisor(
        stack.parts, members_lock=folder.members_lock, grace=stack.settings.shutdown_grace_seconds, say=say
    )


def say(name: str, text: str) -> None:
    """One line of state."""
    click.echo(f"{time.strftime('%H:%M:%S')}  {name:<10} {text}")


def development_token(stack: Plan, seconds: int) -> str:
    """A token of whoever the embedded servers know, such as the sample data's administrator."""
    known = [server.developer for server in embedded(stack.settings) if server.developer is not None]
    whom = known[0] if known else Caller(id="developer", role="admin")
    return sign(stack.secret, subject=whom.id, role=whom.role, name=whom.name, seconds=seconds)


def welcome(stack: Plan, seconds: float) -> str:
    """Where everything is, and what to type first."""
    settings = stack.settings
    host = reachable(settings.bind_host)
    rest = f"http://{host}:{settings.rest_port}"
    lines = [
        f"\nReady after {seconds:.1f} s. Ctrl-C stops it.\n",
        *([f"  Board    {rest}/"] if has_board(settings) else []),
        f"  REST     {rest}/api/v1/queue",
        f"  gRPC     {host}:{settings.grpc_port}{_shared_by(stack, host)}",
    ]
    if settings.metrics_port:
        ports = {part.name: part.metrics_port for part in stack.parts if isinstance(part, QjobsCommand)}
        lines.append(f"  Metrics  {', '.join(f'{host}:{port} ({name})' for name, port in ports.items())}: /metrics")
    lines += [f"  {word:<8} {line}" for server in stack.embedded for word, line in server.welcome(settings)]
    lines.append(f"  Logs     {settings.root('log')}\n")
    if stack.secret:
        token = development_token(stack, TOKEN_SECONDS)
        lines += ["A token for development, good for a week (JWT_SECRET is not set):\n", f"  export TOKEN={token}\n"]
    elif settings.jwt_secret is not None:
        lines += [
            "A token, signed with your JWT_SECRET:\n",
            f"  export TOKEN=$({_this_program()} token --role admin)\n",
        ]
    else:
        lines += ["The calls below take a token of the issuer whose keys JWT_JWKS names, as TOKEN.\n"]
    lines += [
        "Try:\n",
        f"  {_this_program()} stats",
        f'  curl -H "Authorization: Bearer $TOKEN" {rest}/api/v1/queue/health',
        f'  grpcurl -plaintext -H "authorization: Bearer $TOKEN" {host}:{settings.grpc_port} {STATS_CALL}\n',
    ]
    return "\n".join(lines)


def _shared_by(stack: Plan, host: str) -> str:
    """The processes behind GRPC_PORT, where it is not the port of one."""
    services = [part for part in stack.parts if isinstance(part, Service)]
    ports = [f"{host}:{service.grpc_port} ({service.name})" for service in services]
    return f", for {', '.join(ports)}" if len(services) > 1 else ""


def _this_program() -> str:
    """How another shell calls this command, which may not have its folder on the PATH; short where that lies below here."""
    program = Path(sys.prefix, "bin", "qjobs")
    if not program.exists():
        return "qjobs"
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)
