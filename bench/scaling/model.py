"""A simulation of a deployment: what callers and jobs wait for, if each step takes what it costs and processes share nothing.

Modelled are the loop of each service; its round trips, of which one for a queue is under way at a time and takes all that has
come meanwhile; the thread of each store that runs scripts; the workers' calls, which settle and claim at once; their slots and
loops. Queues lie on the stores in turn, as a cluster spreads them. Not modelled: the network, Envoy, disks, handlers that
compute, and processes that share a processor.
"""

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final

import simpy

from bench.scaling.costs import Costs

AT_ONCE: Final = 200
"""Jobs of one script call at most."""
Steps = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Deployment:
    """How many of what."""

    services: int = 1
    workers: int = 1
    queues: int = 1
    stores: int = 1
    slots: int = 50
    """Of each worker for each queue."""
    batch: int = 1
    """Jobs in a caller's call."""
    handler: float = 0.0
    """Seconds that a job waits for others, such as a mail server."""

    def limits(self, costs: Costs) -> dict[str, float]:
        """Jobs a second at which each kind of process is busy all the time, with calls as large as they get."""
        each = costs.unary if self.batch == 1 else costs.row
        claimed = max(self.slots // 2, 1)  # the other half runs meanwhile
        stored = costs.enqueue.of(AT_ONCE) / AT_ONCE + costs.claim.of(claimed) / claimed
        found = {
            "services": self.services / each,
            "stores": min(self.stores, self.queues) / stored,
            "workers": self.workers / costs.run,
        }
        if self.handler:
            found["slots"] = self.workers * self.queues * self.slots / self.handler
        return found


@dataclass
class Times:
    """Seconds, of each call or job."""

    enqueued: list[float] = field(default_factory=list)
    """From a call to its answer."""
    started: list[float] = field(default_factory=list)
    """From a call to the handler."""
    finished: int = 0


class Simulation:
    """One deployment under calls that come at random, from `callers` who do not wait for one another."""

    def __init__(self, costs: Costs, deployment: Deployment, rate: float, seed: int = 1) -> None:
        self.times = Times()
        self._costs = costs
        self._of = deployment
        self._rate = rate
        self._chance = random.Random(seed)
        self._now = simpy.Environment()
        self._services = [self._process() for _ in range(deployment.services)]
        self._stores = [self._process() for _ in range(deployment.stores)]
        self._waiting: list[deque[float]] = [deque() for _ in range(deployment.queues)]
        self._some: list[simpy.Event] = [self._now.event() for _ in range(deployment.queues)]
        self._gathered: dict[tuple[int, int], list[tuple[float, simpy.Event]]] = {}

    def _process(self) -> simpy.Resource:
        return simpy.Resource(self._now, capacity=1)

    def run(self, seconds: float) -> Times:
        self._now.process(self._calls())
        for _ in range(self._of.workers):
            loop = self._process()
            for queue in range(self._of.queues):
                self._now.process(self._pump(loop, queue))
        self._now.run(until=seconds)
        return self.times

    def _busy(self, process: simpy.Resource, seconds: float) -> Steps:
        with process.request() as turn:
            yield turn
            yield self._now.timeout(seconds)

    def _calls(self) -> Steps:
        while True:
            yield self._now.timeout(self._chance.expovariate(self._rate / self._of.batch))
            self._now.process(
                self._call(self._chance.randrange(self._of.services), self._chance.randrange(self._of.queues))
            )

    def _call(self, service: int, queue: int) -> Steps:
        began = self._now.now
        each = self._costs.unary if self._of.batch == 1 else self._costs.row * self._of.batch
        yield from self._busy(self._services[service], each)
        answered = self._now.event()
        gathered = self._gathered.get((service, queue))
        if gathered is None:
            self._gathered[service, queue] = [(began, answered)]
            self._now.process(self._send(service, queue))
        else:
            gathered.append((began, answered))
        yield answered
        self.times.enqueued.append(self._now.now - began)

    def _send(self, service: int, queue: int) -> Steps:
        """Calls as long as anything has gathered."""
        while calls := self._gathered[service, queue][:AT_ONCE]:
            self._gathered[service, queue] = self._gathered[service, queue][len(calls) :]
            jobs = len(calls) * self._of.batch
            whole, rest = divmod(jobs, AT_ONCE)
            for rows in [AT_ONCE] * whole + [rest] * bool(rest):
                yield from self._busy(self._store_of(queue), self._costs.enqueue.of(rows))
            for began, answered in calls:
                self._waiting[queue].extend([began] * self._of.batch)
                answered.succeed()
            self._wake(queue)
        del self._gathered[service, queue]

    def _store_of(self, queue: int) -> simpy.Resource:
        return self._stores[queue % self._of.stores]

    def _wake(self, queue: int) -> None:
        self._some[queue].succeed()
        self._some[queue] = self._now.event()

    def _pump(self, loop: simpy.Resource, queue: int) -> Steps:
        """A worker's dealings with a queue: settles what has ended and claims what fits, in one call."""
        held = _Held(self._of.slots, self._now.event())
        while True:
            while not (held.ended or (held.free and self._waiting[queue])):
                held.some = self._now.event()
                yield self._some[queue] | held.some
            settled, held.ended = held.ended, 0
            wanted = min(held.free + settled, AT_ONCE)
            with self._store_of(queue).request() as turn:
                yield turn
                claimed = [self._waiting[queue].popleft() for _ in range(min(wanted, len(self._waiting[queue])))]
                yield self._now.timeout(self._costs.claim.of(max(settled, len(claimed))))
            held.free += settled - len(claimed)
            if claimed:
                self._now.process(self._work(loop, claimed, held))

    def _work(self, loop: simpy.Resource, claimed: list[float], held: "_Held") -> Steps:
        """Half of a claim gets a turn ahead, so that it is settled while the other half runs (workers/pump.py)."""
        ahead = (len(claimed) + 1) // 2
        for part in (claimed[:ahead], claimed[ahead:]):
            with loop.request() as turn:
                yield turn
                self.times.started += [
                    self._now.now + self._costs.run * place - began for place, began in enumerate(part)
                ]
                yield self._now.timeout(self._costs.run * len(part))
            self._now.process(self._end(len(part), held))

    def _end(self, jobs: int, held: "_Held") -> Steps:
        yield self._now.timeout(self._of.handler)
        held.ended += jobs
        self.times.finished += jobs
        if not held.some.triggered:
            held.some.succeed()


@dataclass
class _Held:
    """A worker's slots for a queue."""

    free: int
    some: simpy.Event
    """Comes when jobs have ended."""
    ended: int = 0
