"""Words for the shell's completion that only the service knows.

Whatever goes wrong, there are none: a shell that completes is no place to complain.
"""

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from cli.access import Wishes, access

if TYPE_CHECKING:
    from cli.session import Session

PATIENCE: Final = 1.0
"""Seconds that somebody who pressed a key may wait."""


def queue_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    async def ask(session: "Session") -> Iterable[str]:
        from cli.filters import queue_names  # noqa: PLC0415  (gRPC, for those who complete what needs it)

        return await queue_names(session)

    return _items(ctx, ask, incomplete)


def job_types(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The types of the queue that is typed already."""
    queue = ctx.params.get("queue") or ""

    async def ask(session: "Session") -> Iterable[str]:
        from cli.job_types import types  # noqa: PLC0415  (as above)

        return (one.job_type for one in await types(session) if queue in {"", one.queue_name})

    return _items(ctx, ask, incomplete)


def schedule_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    async def ask(session: "Session") -> Iterable[str]:
        from cli.schedules import names  # noqa: PLC0415  (as above)

        return await names(session)

    return _items(ctx, ask, incomplete)


def _items(
    ctx: click.Context, ask: "Callable[[Session], Awaitable[Iterable[str]]]", incomplete: str
) -> list[CompletionItem]:
    """What begins as it was typed."""
    import asyncio  # noqa: PLC0415  (as above)

    try:
        words = asyncio.run(asyncio.wait_for(_asked(ctx, ask), PATIENCE))
    except Exception:  # noqa: BLE001  (see above)
        return []
    return [CompletionItem(word) for word in sorted(set(words)) if word.startswith(incomplete)]


async def _asked(ctx: click.Context, ask: "Callable[[Session], Awaitable[Iterable[str]]]") -> list[str]:
    from cli.output.screen import Screen  # noqa: PLC0415  (as above)
    from cli.session import Session  # noqa: PLC0415

    told = {name: ctx.params.get(name) for name in ("token_file", "tls", "ca", "cert", "key")}
    wishes = Wishes(address=ctx.params.get("address") or "", **told)
    async with Session(access(wishes, os.environ), Screen(quiet=True)) as session:
        return list(await ask(session))
