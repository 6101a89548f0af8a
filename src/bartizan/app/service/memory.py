"""What the service holds in memory of nodes: who each is, how far it has come, its state; all evidence of some.

A quote that brings nothing new needs the state alone, some 7 KB a node. The evidence is bounded: it is held of the
nodes of which anything was new last, and read again from the database for others when they have something new.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from bartizan.app.node_state import NodeState
from bartizan.app.service.alike import Alike
from bartizan.app.service.judging import held_entries
from bartizan.app.service.verdicts import keeps_down
from bartizan.formats.agent_message import encode_conclusion
from bartizan.model.cbor import Encoded
from bartizan.model.evidence import Enrolment, VerifiedEvidence
from bartizan.model.node import NodeProgress, NodeRecord
from bartizan.model.result import AttestationResult

AT_ONCE = 64
"""Nodes looked at for one whose evidence has to go."""


@dataclass(slots=True, kw_only=True)
class Node:
    """A node while the service runs. lock: held from a request's nonce check to its commit, one request at a time.

    posture_id: the database's number of the posture document that `state` was judged with; digest: of the verdict that
    stands; renewed_at, written_at: when its history row last said that it stands, and when all of it was written, in
    milliseconds; told: what the node was told last, and of which result; other_since: how many attestations were
    accepted when another TPM first answered under the node's id; proved: its evidence was verified here and nobody else
    has written since; waits: for that.
    """

    record: NodeRecord
    enrolment: Enrolment
    progress: NodeProgress
    state: NodeState | None = None
    posture_id: int | None = None
    digest: bytes = b""
    renewed_at: int = 0
    written_at: int = 0
    told: tuple[AttestationResult, Encoded] | None = None
    other_since: int | None = None
    proved: bool = False
    waits: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class _Held(NamedTuple):
    """Evidence that is held of a node, and how many IMA entries it has."""

    evidence: VerifiedEvidence
    entries: int


class Memory:
    """Nodes by id; `states` and `entries` bound of how many all evidence is held, and how many IMA entries in it."""

    def __init__(self, *, states: int, entries: int) -> None:
        self._nodes: dict[str, Node] = {}
        self.alike = Alike()
        self._used: OrderedDict[str, _Held] = OrderedDict()
        self._states = states
        self._entries = entries
        self._held = 0
        self._gone: set[str] = set()

    def find(self, uid: str) -> Node | None:
        """A node that was put in."""
        return self._nodes.get(uid)

    def put(self, node: Node) -> Node | None:
        """Keep a node; whoever came first stays. None if it was forgotten while it was read."""
        if node.record.uid in self._gone:
            return None
        return self._nodes.setdefault(node.record.uid, node)

    def forget(self, uid: str) -> None:
        """Drop a node: it is enrolled no more."""
        self._gone.add(uid)
        self._nodes.pop(uid, None)
        self._let_go(uid)

    def used(self, node: Node) -> None:
        """The node's state was replaced; where that took its evidence, evidence used longest ago makes room."""
        uid, state = node.record.uid, node.state
        if state is None or state.evidence is None or uid in self._gone:
            return
        held = self._used.get(uid)
        if held is not None and held.evidence is state.evidence:
            return
        node.state = self.alike.state(state)
        self._let_go(uid)
        self._used[uid] = _Held(state.evidence, held_entries(state))
        self._held += held_entries(state)
        if not self._full:
            return
        for dropped in list(islice(self._used, AT_ONCE)):
            if dropped == uid or not self._full:
                return
            self._drop(dropped)

    @property
    def _full(self) -> bool:
        return len(self._used) > self._states or self._held > self._entries

    def _drop(self, uid: str) -> None:
        """Let go of a node's evidence, unless somebody is at work with it."""
        node = self._nodes.get(uid)
        if node is not None and node.lock.locked():
            return
        self._let_go(uid)
        if node is not None:
            self.let_go(node)

    def let_go(self, node: Node) -> None:
        """A node's evidence is needed no more."""
        self._let_go(node.record.uid)
        if node.state is not None:
            node.state = node.state.without_evidence()

    def _let_go(self, uid: str) -> None:
        held = self._used.pop(uid, None)
        self._held -= 0 if held is None else held.entries

    def told(self, node: Node, result: AttestationResult) -> Encoded:
        """What a node is told of a result; nearly always the same as the last time."""
        if node.told is None or node.told[0] is not result:
            node.told = result, self.alike.encoded(encode_conclusion(result, keeps_down(result)))
        return node.told[1]

    @property
    def nodes(self) -> int:
        """How many nodes are known here."""
        return len(self._nodes)

    @property
    def states(self) -> int:
        """Of how many nodes all evidence is held."""
        return len(self._used)

    @property
    def entries(self) -> int:
        """How many IMA entries are held in it."""
        return self._held

    def all(self) -> list[Node]:
        """Every node known here."""
        return list(self._nodes.values())
