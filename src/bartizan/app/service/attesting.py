"""Attestation as a service: challenge, judge, keep, in this order and one request a node at a time.

Nothing is answered before it is committed, and nothing in memory changes before that: a service killed at any moment
has told nobody of a result that it does not hold.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from bartizan.app.attest_again import NeedsEvidence, NeedsFullLogs
from bartizan.app.attest_node import Rules
from bartizan.app.node_state import NodeState, judged_by
from bartizan.app.service.clock import Clock, Now
from bartizan.app.service.judging import Attempt, Judged, held_of, judge
from bartizan.app.service.keeping import Keeper
from bartizan.app.service.memory import Memory, Node
from bartizan.app.service.nonces import Nonces
from bartizan.app.service.other_tpm import named
from bartizan.app.service.refusals import Busy, LogsWanted, NonceError, UnknownNode
from bartizan.app.service.rulebook import RuleBook
from bartizan.app.service.settings import Attestation
from bartizan.app.service.states import States
from bartizan.app.service.storm import Storm
from bartizan.errors import SenderError
from bartizan.model.cbor import Encoded
from bartizan.model.node import NodeProgress, NodeRecord
from bartizan.model.protocol import EvidenceRequest, Offer
from bartizan.store.accepting import Outdated
from bartizan.store.dialect import is_shared
from bartizan.store.nodes import find_node, version_of
from bartizan.store.reading import reading

SMALL = 64 * 1024
"""Bytes of new IMA entries that are judged between two other requests; more goes to a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An attestation that was accepted and is kept: what the node is told of its result, and the next challenge."""

    told: Encoded
    offer: Offer


@dataclass(slots=True, kw_only=True)
class Attesting:
    """The use case, with what it needs."""

    engine: Engine
    keeper: Keeper
    memory: Memory
    states: States
    rules: RuleBook
    nonces: Nonces
    settings: Attestation
    storm: Storm
    clock: Clock

    async def challenge(self, uid: str) -> Offer:
        """A challenge for a node that has none; it changes nothing, whoever asks.

        Raises:
            UnknownNode: nobody of this id is enrolled.
        """
        node = await self.current(uid)
        return self.offer(node, self.clock(), due_in=0)

    def offer(self, node: Node, now: Now, *, due_in: float | None = None) -> Offer:
        """The next challenge of a node; due_in: seconds, by default until it is due."""
        nonce = self.nonces.issue(node.record.uid, now=now.microseconds, after=node.progress.nonce_issued)
        if due_in is None:
            due_in = (node.progress.due - now.milliseconds) / 1000
        return Offer(
            nonce=nonce,
            banks=node.record.banks,
            expires_in=self.nonces.lifetime,
            due_in=due_in,
            held=None if node.state is None else held_of(node.state),
        )

    async def refused_offer(self, uid: str, *, at_once: bool) -> Offer:
        """The next challenge of a node whose attestation was refused: at once, or when it would have been due.

        Raises:
            UnknownNode: nobody of this id is enrolled.
        """
        node = await self.current(uid)
        return self.offer(node, self.clock(), due_in=0 if at_once else self.settings.period)

    async def attest(self, request: EvidenceRequest) -> Accepted:
        """Judge an attestation and keep it.

        Raises:
            UnknownNode, NonceError, LogsWanted, DecodeError, VerifyError: it is refused, and nothing changed but what
                is said of the last attempt. Busy: come back later.

        What memory holds is believed until the very transaction, which does nothing if another Verifier was first;
        then, and before a refusal, it is looked at again.
        """
        node = await self.node(request.node)
        async with node.lock:
            if self.memory.find(node.record.uid) is not node:
                raise UnknownNode(f"node {request.node!a} is enrolled no more")
            await self.states.resume(node)
            try:
                return await self._attest(node, request)
            except Outdated:
                await self.catch_up(node)
            except SenderError as error:
                if not (self.shared and await self.catch_up(node)):
                    raise self._refusal(node, request, error) from error
            return await self._attest_again(node, request)

    async def _attest_again(self, node: Node, request: EvidenceRequest) -> Accepted:
        """The same request once more, by what another Verifier has kept meanwhile."""
        try:
            return await self._attest(node, request)
        except Outdated as error:
            raise Busy(f"node {node.record.name} attests elsewhere at the same time", retry_after=1) from error
        except SenderError as error:
            raise self._refusal(node, request, error) from error

    async def _attest(self, node: Node, request: EvidenceRequest) -> Accepted:
        now = self.clock()
        issued = self.nonces.check(
            node.record.uid, request.nonce, now=now.microseconds, after=node.progress.nonce_issued
        )
        judged = await self._judged(node, request, now)
        await self.keeper.keep(node, request, judged, issued=issued, now=now)
        self.memory.used(node)
        result = judged.state.result if node.state is None else node.state.result
        return Accepted(told=self.memory.told(node, result), offer=self.offer(node, self.clock()))

    def _refusal(self, node: Node, request: EvidenceRequest, error: SenderError) -> SenderError:
        """What to refuse a node with; it is noted, unless the node is not to blame for it."""
        now = self.clock()
        said = named(error, node, request.attest, now=now, late=self.settings.late)
        if not isinstance(error, NonceError):
            self.keeper.refused(node, str(said), now)
        return said

    async def catch_up(self, node: Node) -> bool:
        """Hold what the database says of a node, if another Verifier has changed that; the node's lock is held.

        Raises:
            UnknownNode: it is enrolled no more.
        """
        uid = node.record.uid
        known = node.progress.version

        def look(connection: Connection) -> tuple[bool, tuple[NodeRecord, NodeProgress] | None]:
            if version_of(connection, uid) == known:
                return False, None
            return True, find_node(connection, uid)

        changed, found = await reading(self.engine, look)
        if not changed:
            return False
        if found is None:
            self.memory.forget(uid)
            raise UnknownNode(f"node {uid!a} is enrolled no more")
        node.progress, node.state, node.posture_id, node.digest = found[1], None, None, b""
        node.proved = False
        await self.states.resume(node)
        return True

    async def current(self, uid: str) -> Node:
        """A node as the database has it now, whoever of several Verifiers has it from an attestation.

        Raises:
            UnknownNode: nobody of this id is enrolled.
        """
        node = await self.node(uid)
        if self.shared:
            async with node.lock:
                await self.catch_up(node)
        return node

    @property
    def shared(self) -> bool:
        """Other Verifiers may change what is kept."""
        return is_shared(self.engine)

    async def node(self, uid: str) -> Node:
        """A node, from memory or from the database, with its state if anything was accepted of it.

        Raises:
            UnknownNode: nobody of this id is enrolled.
        """
        node = self.memory.find(uid)
        if node is None:
            made = await self.states.read(uid)
            if made is None:
                raise UnknownNode(f"no node {uid!a} is enrolled here")
            node = self.memory.put(made)
        if node is None:
            raise UnknownNode(f"node {uid!a} is enrolled no more")
        if node.state is None and node.progress.boot is not None:
            async with node.lock:
                await self.states.resume(node)
        return node

    async def _judged(self, node: Node, request: EvidenceRequest, now: Now) -> Judged:
        found = await self._judge(node, request, now)
        if isinstance(found, NeedsEvidence):
            await self.states.complete(node)
            found = await self._judge(node, request, now)
        if isinstance(found, Judged):
            return found
        raise LogsWanted(found.reason if isinstance(found, NeedsFullLogs) else "what is kept cannot be read again")

    async def _judge(self, node: Node, request: EvidenceRequest, now: Now) -> Judged | NeedsFullLogs | NeedsEvidence:
        attempt = Attempt(record=node.record, enrolment=node.enrolment, state=node.state, request=request)
        rules, at = self.rules.rules, now.date
        if request.boot is not None:
            async with self.storm.turn():
                return await asyncio.to_thread(judge, attempt, rules=rules, now=at)
        if _takes_long(node.state, request, rules=rules, now=at):
            return await asyncio.to_thread(judge, attempt, rules=rules, now=at)
        return judge(attempt, rules=rules, now=at)


def _takes_long(state: NodeState | None, request: EvidenceRequest, *, rules: Rules, now: datetime) -> bool:
    """Much came, or other rules judged what is held: then all of it is judged anew, 2 ms for each 1,000 files.

    The others' requests go on meanwhile.
    """
    if request.ima is not None and len(request.ima.entries) > SMALL:
        return True
    return state is not None and not judged_by(state, rules=rules, now=now)
