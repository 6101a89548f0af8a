"""Software nodes that speak the true protocol to whichever of several Verifiers answers, and write down what they hear.

Each goes to another Verifier whenever it likes, as behind a balancer that keeps nobody with anybody, and at once when
one does not answer.
"""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.simulator.attester import Attester, Document, document, message
from tests.simulator.live_boot import live
from tests.unit.enrolling_side import asking

HOST = "127.0.0.1"
ANSWER = 6.0
"""Seconds of patience with an answer."""
LONGEST_WAIT = 1.0
"""Seconds that a node waits at most, whatever it is told: these nodes are in a hurry."""
EVIDENCE = "evidence"


class Unanswered(Exception):  # noqa: N818  it is what the request is
    """Nobody knows what became of it."""


@dataclass
class Told:
    """What one node sent and heard: nonces of its evidence, those that were accepted, when and by whom."""

    sent: list[bytes] = field(default_factory=list)
    accepted: list[bytes] = field(default_factory=list)
    unanswered: int = 0
    full: int = 0
    last: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass
class Line:
    """A connection to one Verifier."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def call(lines: dict[int, Line], port: int, name: str, body: bytes) -> tuple[int, Document, float]:
    """One request: status, answer, seconds to wait.

    Raises:
        Unanswered: there was none.
    """
    try:
        async with asyncio.timeout(ANSWER):
            if port not in lines:
                lines[port] = Line(*await asyncio.open_connection(HOST, port))
            line = lines[port]
            head = f"POST /v1/agent/{name} HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\n"
            line.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            said = (await line.reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
            named = dict(part.split(b": ", 1) for part in said[1:] if b": " in part)
            raw = await line.reader.readexactly(int(named[b"content-length"]))
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        if line := lines.pop(port, None):
            line.writer.close()
        raise Unanswered(name) from error
    return int(said[0].split()[1]), document(raw), float(named.get(b"retry-after", b"0"))


@dataclass
class Member:
    """One node and its life. ports: of the Verifiers."""

    node: Attester
    ports: Sequence[int]
    chance: random.Random
    pause: float
    told: Told = field(default_factory=Told)
    lines: dict[int, Line] = field(default_factory=dict)
    challenge: Document | None = None

    async def live(self, stop: asyncio.Event) -> None:
        """Attest again and again, until told to stop."""
        while not stop.is_set():
            try:
                wait = await self._step()
            except Unanswered:
                wait = 0.05
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, LONGEST_WAIT)):
                    await stop.wait()
        for line in self.lines.values():
            line.writer.close()

    async def _step(self) -> float:
        port = self.chance.choice(self.ports)
        if self.challenge is None:
            status, answer, wait = await call(self.lines, port, "challenge", message(self.node.ask()))
            self.challenge = answer.get("challenge") if status == 200 else None
            return 0.0 if status == 200 else wait or 0.2
        request = self.node.evidence(self.challenge)
        nonce, self.challenge = self.challenge["nonce"], None
        self.told.sent.append(nonce)
        self.told.full += "boot" in request
        try:
            status, answer, wait = await call(self.lines, port, EVIDENCE, message(request))
        except Unanswered:
            self.told.unanswered += 1
            raise
        self.challenge = answer.get("challenge")
        if status == 200:
            self.told.accepted.append(nonce)
            self.told.last = time.monotonic()
            return self.pause
        self.told.refused[f"{status} {answer['error']['kind']}"] += 1
        return wait or 0.05


@dataclass
class Newcomer:
    """Nodes that enrol by a token while all this goes on: each token is used at several Verifiers at the same time."""

    ports: Sequence[int]
    chance: random.Random
    tokens: "list[tuple[str, str]]"
    enrolled: dict[str, set[str]] = field(default_factory=dict)
    tried: int = 0

    @property
    def let_in(self) -> int:
        """Names for which somebody was told that it is enrolled."""
        return sum(map(bool, list(self.enrolled.values())))

    async def live(self, stop: asyncio.Event) -> None:
        """One name after the other."""
        for name, token in self.tokens:
            if stop.is_set():
                return
            self.tried += 1
            rivals = [Attester(name=name, keys=f"{name} {number}") for number in range(2)]
            found = await asyncio.gather(*(self._enrol(one, token) for one in rivals for _ in self.ports))
            self.enrolled[name] = {uid for uid in found if uid is not None}
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await stop.wait()

    async def _enrol(self, node: Attester, token: str) -> str | None:
        """The id that it was given, at a Verifier of its choice; None if it was refused, or not answered."""
        lines: dict[int, Line] = {}
        try:
            port = self.chance.choice(self.ports)
            status, opened, _ = await call(lines, port, "enrol", message(asking(node, token)))
            if status != 200:
                return None
            other = self.chance.choice(self.ports)
            status, answer, _ = await call(lines, other, "activate", message(node.activate(opened)))
            return str(answer["node"]) if status == 200 else None
        except Unanswered:
            return None
        finally:
            for line in lines.values():
                line.writer.close()


@dataclass
class Load:
    """All of them, in a thread with an event loop of its own."""

    members: list[Member]
    newcomer: Newcomer
    failures: list[BaseException] = field(default_factory=list)
    _stop: Callable[[], None] = lambda: None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(begun)), name="load")
        self._thread.start()
        begun.wait()

    def stop(self) -> None:
        """End; whatever broke is raised."""
        assert self._thread is not None
        self._stop()
        self._thread.join()
        if self.failures:
            raise self.failures[0]

    async def _run(self, begun: threading.Event) -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set) and None
        begun.set()
        lives = [*(member.live(stop) for member in self.members), self.newcomer.live(stop)]
        for found in await asyncio.gather(*lives, return_exceptions=True):
            if isinstance(found, BaseException):
                self.failures.append(found)

    @property
    def accepted(self) -> int:
        """Attestations that nodes were told were accepted."""
        return sum(len(member.told.accepted) for member in self.members)

    def refused(self) -> Counter[str]:
        """What else they were told, and how often they were told nothing."""
        found: Counter[str] = Counter()
        for member in self.members:
            found.update(member.told.refused)
            found["no answer"] += member.told.unanswered
        return found

    def everybody_since(self, at: float) -> bool:
        """Every node was accepted after this time."""
        return bool(self.failures) or all(member.told.last > at for member in self.members)


def members(count: int, ports: Sequence[int], *, pause: float, seed: int) -> list[Member]:
    """So many nodes of the same boot, not enrolled yet."""
    boot = live("good")
    values = boot.pcrs(len(boot.entries))
    made = []
    for number in range(count):
        node = Attester(name=f"node-{number:04d}", boot=boot, known_pcrs=values)
        made.append(Member(node, ports, random.Random(seed * 10_000 + number), pause))  # noqa: S311  whom to ask
    return made


async def enrol(some: Sequence[Member]) -> None:
    """Enrol them, whose EKs are registered: the credential from one Verifier, answered at another."""
    for member in some:
        lines: dict[int, Line] = {}
        here, there = member.chance.choice(member.ports), member.chance.choice(member.ports)
        status, opened, _ = await call(lines, here, "enrol", message(member.node.enrol()))
        assert status == 200, opened
        status, enrolled, _ = await call(lines, there, "activate", message(member.node.activate(opened)))
        assert status == 200, enrolled
        member.node.uid, member.challenge = enrolled["node"], enrolled["challenge"]
        for line in lines.values():
            line.writer.close()
