"""What the service holds in memory of nodes: who each is, how far it has come, and the states used last.

All of it can be read again from the database; it is bounded, and a node that was dropped costs one rebuild.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice

from bartizan.app.attest_again import NodeState
from bartizan.app.service.judging import held_entries
from bartizan.model.cbor import Encoded
from bartizan.model.evidence import Enrolment
from bartizan.model.node import NodeProgress, NodeRecord
from bartizan.model.result import AttestationResult

AT_ONCE = 64
"""States looked at for one that has to go."""


@dataclass(slots=True, kw_only=True)
class Node:
    """A node while the service runs. lock: held from a request's nonce check to its commit, one request at a time.

    posture, posture_id: digest and database number of the posture document that `state` was judged with; digest: of
    the verdict that stands; renewed_at: when its history row was last written, in milliseconds; told: what the node was
    told last, and of which result; other_since: how many attestations were accepted when another TPM first answered
    under the node's id.
    """

    record: NodeRecord
    enrolment: Enrolment
    progress: NodeProgress
    state: NodeState | None = None
    posture: bytes | None = None
    posture_id: int | None = None
    digest: bytes = b""
    renewed_at: int = 0
    other_since: int | None = None
    told: tuple[AttestationResult, Encoded] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Memory:
    """Nodes by id; `states` and `entries` bound how many states, and how many IMA entries in them, are held."""

    def __init__(self, *, states: int, entries: int) -> None:
        self._nodes: dict[str, Node] = {}
        self._used: OrderedDict[str, int] = OrderedDict()
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
        self._held -= self._used.pop(uid, 0)

    def used(self, node: Node) -> None:
        """The node's state was used or replaced; those used longest ago make room."""
        uid = node.record.uid
        if uid in self._gone:
            return
        size = 0 if node.state is None else held_entries(node.state)
        self._held += size - self._used.pop(uid, 0)
        self._used[uid] = size
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
        """Let go of a state, unless somebody is at work with it."""
        node = self._nodes.get(uid)
        if node is not None and node.lock.locked():
            return
        self._held -= self._used.pop(uid)
        if node is not None:
            node.state = node.told = None

    @property
    def nodes(self) -> int:
        """How many nodes are known here."""
        return len(self._nodes)

    @property
    def states(self) -> int:
        """How many states are held."""
        return len(self._used)

    @property
    def entries(self) -> int:
        """How many IMA entries are held in them."""
        return self._held

    def all(self) -> list[Node]:
        """Every node known here."""
        return list(self._nodes.values())
