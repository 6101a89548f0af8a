"""The fleet's life: who is due is sent on the next free connection, and what comes back says when it is due again.

One loop, callbacks only. Back-off, Retry-After and jitter are those of docs/reference/protocol.md. A node that is due
while no connection is free waits in a queue; that is lag, and it is counted.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.fleet.attester import Node, document
from bench.fleet.tally import Tally
from bench.fleet.wire import Connection, Endpoint, Reply

CALLS = ("challenge", "evidence")
STEP = 0.02
"""Seconds of one slot of the calendar."""
JITTER = 0.1
LONGEST_BACKOFF = 60.0
SECOND_LOOK = 1.0
"""Seconds between two looks for connections that hang, and for places that are free."""
PATIENCE = 60.0
"""Seconds for an answer."""
BUSY = frozenset({429, 503})
OK, CONFLICT, UNPROCESSABLE = 200, 409, 422


@dataclass(slots=True)
class Engine:
    """The nodes at work. hurry: everybody is due at once, for ever; wanted: nodes that have not come up to date yet.

    tally, recent: what happened, until somebody puts another one there; places: the same for each endpoint.
    """

    endpoints: Sequence[Endpoint]
    connections: int
    chance: random.Random
    tally: Tally = field(default_factory=Tally)
    recent: Tally = field(default_factory=Tally)
    hurry: bool = False
    wanted: set[Node] = field(default_factory=set)
    places: list[Tally] = field(default_factory=list)
    _free: dict[int, deque[Connection]] = field(default_factory=dict)
    _ready: dict[int, deque[Node]] = field(default_factory=dict)
    _calendar: dict[int, list[Node]] = field(default_factory=dict)
    _slot: int = 0
    _open: set[Connection] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _home: dict[Node, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Let them live until cancelled."""
        loop = asyncio.get_running_loop()
        self.begin()
        for place in range(len(self.endpoints)):
            self._free.setdefault(place, deque())
            self._ready.setdefault(place, deque())
        self._slot = min(self._calendar, default=int(loop.time() / STEP)) - 1
        looked = 0.0
        try:
            while True:
                now = loop.time()
                if now - looked > SECOND_LOOK:
                    looked = now
                    self._look(now)
                self._turn(now)
                await asyncio.sleep(STEP)
        finally:
            for connection in list(self._open):
                connection.close()

    def begin(self) -> None:
        """Count from now on."""
        self.tally, self.recent = Tally(), Tally()
        self.places = [Tally() for _ in self.endpoints]

    def add(self, nodes: Iterable[Node], *, within: float) -> None:
        """Nodes that are due at random times within so many seconds; with several endpoints each has its own."""
        now = asyncio.get_running_loop().time()
        for number, node in enumerate(nodes):
            if len(self.endpoints) > 1:
                self._home[node] = number % len(self.endpoints)
            self.later(node, now + self.chance.uniform(0, within))

    def later(self, node: Node, at: float) -> None:
        """The node is due then, and not when it was due before."""
        node.due, node.busy = at, False
        node.slot = max(int(at / STEP), self._slot + 1)
        self._calendar.setdefault(node.slot, []).append(node)

    @property
    def waiting(self) -> int:
        """How many are due and have no connection yet."""
        return sum(map(len, self._ready.values()))

    def home(self, node: Node) -> int:
        """Which endpoint a node goes to."""
        return self._home.get(node, 0)

    def _turn(self, now: float) -> None:
        last = int(now / STEP)
        while self._slot < last:
            self._slot += 1
            for node in self._calendar.pop(self._slot, ()):
                if node.slot == self._slot and not (node.away or node.busy):
                    node.busy = True
                    self._ready[self.home(node)].append(node)
        self.tally.queue = max(self.tally.queue, self.waiting)
        for place in self._ready:
            self._dispatch(place, now)

    def _dispatch(self, place: int, now: float) -> None:
        ready, free = self._ready[place], self._free[place]
        while ready and free:
            connection = free.popleft()
            if connection.is_open:
                self._send(connection, ready.popleft(), now)

    def _send(self, connection: Connection, node: Node, now: float) -> None:
        if node.nonce is None:
            connection.send("challenge", node.ask(), purpose=node, now=now)
            return
        late = now - node.due
        self.tally.lag.append(late)
        self.recent.lag.append(late)
        connection.send("evidence", node.evidence(), purpose=node, now=now)

    def answered(self, connection: Connection, reply: Reply) -> None:
        """A node has its answer; its connection takes the next one."""
        now = asyncio.get_running_loop().time()
        node = connection.purpose
        connection.purpose = None
        assert isinstance(node, Node)
        if reply.status == OK:
            self._accepted(node, reply, now, seconds=now - connection.sent_at)
        else:
            self._refused(node, reply, now)
        place = self.home(node)
        if reply.last:
            connection.close()
        else:
            self._free[place].append(connection)
        self._dispatch(place, now)

    def _accepted(self, node: Node, reply: Reply, now: float, *, seconds: float) -> None:
        said = document(reply.body)
        full = node.is_full
        node.told(said["challenge"])
        node.failures = 0
        result = said.get("result")
        if result is None:  # it asked for a challenge, and goes on at once
            self._ready[self.home(node)].appendleft(node)
            return
        node.level = result["level"]
        for tally in (self.tally, self.recent, self.places[self.home(node)]):
            tally.accepted += 1
            tally.full += full
            tally.levels[node.level] += 1
            (tally.whole if full else tally.again).append(seconds)
        if node.held == (node.shape.resets, node.shape.restarts, node.shape.entries):
            self.wanted.discard(node)
        wait = 0.0 if self.hurry else said["due_in"] * self.chance.uniform(1 - JITTER, 1 + JITTER)
        self.later(node, now + wait)

    def _refused(self, node: Node, reply: Reply, now: float) -> None:
        said = document(reply.body)
        kind = f"{reply.status} {said['error']['kind']}"
        for tally in (self.tally, self.recent):
            tally.answers[kind] += 1
        challenge = said.get("challenge")
        if challenge is not None:
            node.told(challenge)
        if reply.status in BUSY and reply.retry_after is not None:
            self.tally.patience.append(reply.retry_after)
            self.later(node, now + reply.retry_after * (1 + self.chance.random()))
        elif reply.status == CONFLICT:
            if said["error"]["kind"] == "logs":
                node.held = None
            self.later(node, now)
        elif reply.status == UNPROCESSABLE:
            self.later(node, now + said["due_in"])
        else:
            self._back_off(node, now)

    def broken(self, connection: Connection) -> None:
        """A connection is gone; its node tries again, and begins with a challenge."""
        self._open.discard(connection)
        node = connection.purpose
        if isinstance(node, Node):
            self.tally.broken += 1
            node.nonce = None
            self._back_off(node, asyncio.get_running_loop().time())

    def _back_off(self, node: Node, now: float) -> None:
        self.later(node, now + self.chance.uniform(0, min(2.0**node.failures, LONGEST_BACKOFF)))
        node.failures += 1

    def _look(self, now: float) -> None:
        for connection in list(self._open):
            if connection.purpose is not None and now - connection.sent_at > PATIENCE:
                connection.close()
        if self._tasks:
            return
        for place, endpoint in enumerate(self.endpoints):
            stand = sum(connection.endpoint is endpoint for connection in self._open)
            if stand < self.connections:
                task = asyncio.create_task(self._connect(place, self.connections - stand))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _connect(self, place: int, count: int) -> None:
        for _ in range(count):
            try:
                connection = await self.endpoints[place].connect(self)
            except OSError:
                return  # the next look tries again
            self._open.add(connection)
            self._free[place].append(connection)
