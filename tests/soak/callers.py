"""Those who call: each takes one action after the other, by chance from one seed, and notes what it was not prepared for."""

import asyncio
import contextlib
import gc
import random
import time
import traceback
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc

from client import JobClient
from client.errors import JobsError
from stack.ports import LOOPBACK
from stack.tokens import sign
from tests.soak.servers import Names

LONGEST = 60.0
"""Seconds within which every action ends."""
FAILURES_SHOWN = 20


class UnexpectedAnswerError(Exception):
    """A call was answered as it should not be."""


@dataclass
class Ledger:
    """What was done, and what went wrong."""

    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    names: Names = field(default_factory=Names)

    def failed(self, action: str, error: BaseException) -> None:
        text = str(error) if isinstance(error, UnexpectedAnswerError) else "".join(traceback.format_exception(error))
        self.failures.append(f"{action}: {text}")


@dataclass
class Caller:
    """One of them, with connections of its own."""

    chance: random.Random
    rest: aiohttp.ClientSession
    jobs: JobClient
    ledger: Ledger
    user: str

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        refusals: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Any:
        """The JSON that a call below /api/v1 is answered with; None for one of the `refusals`.

        Raises:
          UnexpectedAnswerError: the status is another.
        """
        async with self.rest.request(method, f"/api/v1/{path}", json=body, params=query, headers=headers) as answer:
            if answer.status == 200:
                return await answer.json()
            text = await answer.text()
        if answer.status not in refusals:
            raise UnexpectedAnswerError(f"{method} {path} {body}: {answer.status} {text[:500]}")
        self.ledger.refused[f"{method} {answer.status}"] += 1
        return None

    def request_id(self) -> str:
        """A new one, which the store may remember from now on."""
        self.ledger.names.requests += 1
        return str(uuid.UUID(int=self.chance.getrandbits(128)))

    def job_id(self) -> str:
        name = f"soak-{self.chance.getrandbits(64):x}"
        self.ledger.names.jobs.add(name)
        return name

    @contextlib.contextmanager
    def bearing(self, *codes: grpc.StatusCode) -> Any:
        """Lets the client's calls be refused for these reasons."""
        try:
            yield
        except JobsError as error:
            if error.code not in codes:
                raise
            self.ledger.refused[error.code.name] += 1


Action = Callable[[Caller], Awaitable[None]]


@dataclass
class Repertoire:
    """What callers can do, and how often they do it."""

    actions: dict[str, tuple[Action, float]] = field(default_factory=dict)

    def action(self, weight: float) -> Callable[[Action], Action]:
        def declare(function: Action) -> Action:
            self.actions[function.__name__] = (function, weight)
            return function

        return declare


REPERTOIRE = Repertoire()
action = REPERTOIRE.action


@dataclass
class Crew:
    """All callers of one stack."""

    rest_port: int
    grpc_port: int
    secret: str
    seed: int
    ledger: Ledger = field(default_factory=Ledger)
    rounds: int = 0
    tokens: dict[str, str] = field(default_factory=dict)

    async def work(self, callers: int, seconds: float) -> None:
        """So many callers act for so long, and every action is taken twice. Then all connections are closed."""
        self.rounds += 1
        until = time.monotonic() + seconds
        firm = [*REPERTOIRE.actions, *REPERTOIRE.actions]
        random.Random(f"{self.seed} {self.rounds}").shuffle(firm)
        async with asyncio.TaskGroup() as group:
            for number in range(callers):
                group.create_task(self._act(number, until, firm))
        gc.collect()  # a call that was broken off may keep its connection until then

    async def _act(self, number: int, until: float, firm: list[str]) -> None:
        names = list(REPERTOIRE.actions)
        weights = [weight for _, weight in REPERTOIRE.actions.values()]
        chance = random.Random(f"{self.seed} {self.rounds} {number}")
        while time.monotonic() < until or firm:
            # Connections come and go as well.
            async with self._caller(number, chance) as caller:
                for _ in range(chance.randint(5, 60)):
                    name = firm.pop() if firm else chance.choices(names, weights)[0]
                    await self._take(caller, name)
                    if time.monotonic() >= until and not firm:
                        break

    async def _take(self, caller: Caller, name: str) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                await REPERTOIRE.actions[name][0](caller)
        except TimeoutError as error:
            self.ledger.failed(name, error)
        except (UnexpectedAnswerError, JobsError, grpc.aio.AioRpcError, aiohttp.ClientError, AssertionError) as error:
            self.ledger.failed(name, error)
            await asyncio.sleep(0.1)
        self.ledger.done[name] += 1

    @contextlib.asynccontextmanager
    async def _caller(self, number: int, chance: random.Random) -> AsyncIterator[Caller]:
        user = f"soak-{number}"
        token = self.tokens.setdefault(user, sign(self.secret, subject=user, role="admin", name=user, seconds=86_400))
        # Through the gateway, as browsers and applications elsewhere do, and straight to the service, as those beside it.
        port = self.rest_port if number % 2 else self.grpc_port
        async with (
            aiohttp.ClientSession(
                f"http://{LOOPBACK}:{self.rest_port}",
                headers={"authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=LONGEST),
            ) as rest,
            JobClient(f"{LOOPBACK}:{port}", token) as jobs,
        ):
            yield Caller(chance, rest, jobs, self.ledger, user)


def shown(failures: Sequence[str]) -> str:
    more = f"\n… and {len(failures) - FAILURES_SHOWN} more" if len(failures) > FAILURES_SHOWN else ""
    return "\n".join(failures[:FAILURES_SHOWN]) + more
