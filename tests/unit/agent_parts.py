"""What agents under test are given: a clock that stands still, a service and a collector that follow a script."""

from collections.abc import Mapping
from typing import Any

from bartizan.agent.errors import AgentError, NoAnswer
from bartizan.agent.loop import Agent, Parts
from bartizan.agent.memory import Memory
from bartizan.agent.messages import Asked, Evidence, Identity
from bartizan.agent.state import Node
from bartizan.agent.transport import Reply
from bartizan.formats.cbor import decode_cbor, encode_cbor

Document = Mapping[str, Any]
BANKS = {11: list(range(24))}
NONCE, OTHER_NONCE = b"n" * 32, b"o" * 32
IDENTITY = Identity(b"ek", {0x01C00002: b"cert"}, b"ak", {11: True}, "IBM", "SW TPM", 7)
EVIDENCE = Evidence(b"attest", b"signature", {11: bytes(768)})
NODE = Node("http://127.0.0.1:1", None, "compute-1", "compute", "n-1")
NEW = NODE._replace(node=None, token="join")  # noqa: S106


class SettableClock:
    """Both clocks go on only when told to; chance is always the same."""

    def __init__(self, chance: float = 0.5) -> None:
        self.now = 1000.0
        self.offset = 1_700_000_000.0
        self.luck = chance

    def steady(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.offset

    def chance(self) -> float:
        return self.luck


def challenge(nonce: bytes = NONCE, **more: object) -> dict[str, object]:
    return {"nonce": nonce, "banks": BANKS, "expires_in": 300, **more}


def given(due_in: int = 60, nonce: bytes = NONCE, **more: object) -> dict[str, object]:
    """A challenge with its due time, as replies have it."""
    return {"challenge": challenge(nonce, **more), "due_in": due_in}


def reply(status: int, document: Document | bytes = b"", retry_after: int | None = None) -> Reply:
    return Reply(status, document if isinstance(document, bytes) else encode_cbor(document), retry_after)


def error(status: int, kind: str, *, retry_after: int | None = None, **more: object) -> Reply:
    return reply(status, {"error": {"kind": kind, "what": "w", "why": "y"}, **more}, retry_after)


def judged(level: int = 4, *, contraindicated: bool = False, **more: object) -> Reply:
    """A 200 to evidence."""
    result = {"level": level, "state": "fresh", "contraindicated": contraindicated, "keeps_down": ["ima.unknown-file"]}
    return reply(200, {"result": result, **given(**more)})  # type: ignore[arg-type]  # due_in, nonce or held


class Scripted:
    """A service and a collector in one: what to answer, and what was asked."""

    def __init__(self, *answers: Reply | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[Asked] = []
        self.evidences: list[Evidence | AgentError] = []
        self.identity_fails: AgentError | None = None
        self.secrets: list[tuple[bytes, bytes]] = []

    def post(self, path: str, body: bytes) -> Reply:
        document = decode_cbor(body)
        assert isinstance(document, dict)
        self.requests.append((path.rpartition("/")[2], document))
        answer = self.answers.pop(0) if self.answers else NoAnswer("the script is over")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Nothing is open."""

    def identity(self) -> Identity:
        if self.identity_fails is not None:
            raise self.identity_fails
        return IDENTITY

    def activate(self, id_object: bytes, encrypted_secret: bytes) -> bytes:
        self.secrets.append((id_object, encrypted_secret))
        return b"opened"

    def evidence(self, asked: Asked) -> Evidence:
        self.asked.append(asked)
        found = self.evidences.pop(0) if self.evidences else EVIDENCE
        if isinstance(found, AgentError):
            raise found
        return found

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


class Life:
    """An agent with its script, clock and memory."""

    def __init__(self, *answers: Reply | Exception, node: Node = NODE, chance: float = 0.5) -> None:
        self.script = Scripted(*answers)
        self.clock = SettableClock(chance)
        self.memory = Memory()
        self.warned: list[str] = []
        parts = Parts(self.script, self.script, self.memory, self.clock, self.warned.append)
        self.agent = Agent(node, parts)

    def steps(self, count: int) -> list[float]:
        """That many steps, each when it is due; the seconds waited after each."""
        waited = []
        for _ in range(count):
            waited.append(self.agent.step())
            self.clock.now += waited[-1]
        return waited
