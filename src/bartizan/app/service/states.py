"""How the state of a node comes to memory: from what was sealed of it, or from all its evidence, judged again.

Of every function that is given a node the caller holds its lock.
"""

import asyncio
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, Engine

from bartizan.app.node_state import NodeState
from bartizan.app.service.clock import Clock
from bartizan.app.service.judging import enrolment_of, resumed
from bartizan.app.service.keeping import Keeper
from bartizan.app.service.memory import Memory, Node
from bartizan.app.service.recalling import recalled
from bartizan.app.service.rulebook import RuleBook
from bartizan.errors import DecodeError, SenderError, VerifyError
from bartizan.model.certificate import TrustAnchors
from bartizan.model.sealed import KeptState
from bartizan.store.kept import kept_boot, kept_state
from bartizan.store.nodes import find_node, standing
from bartizan.store.reading import reading


@dataclass(slots=True, kw_only=True)
class States:
    """What reads them. unproved: nodes that went on from a seal, and whose evidence was not looked at since."""

    engine: Engine
    keeper: Keeper
    memory: Memory
    rules: RuleBook
    anchors: TrustAnchors
    clock: Clock
    unproved: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)

    async def read(self, uid: str) -> Node | None:
        """An enrolled node, and what was sealed of it, in one look; nobody else has it yet, and no lock is needed."""

        def look(connection: Connection) -> tuple[Node, tuple[NodeState, KeptState] | None] | None:
            found = find_node(connection, uid)
            if found is None:
                return None
            record, progress = found
            node = Node(record=record, enrolment=enrolment_of(record, self.anchors), progress=progress)
            try:
                return node, self._recalled(connection, node)
            except DecodeError:
                return node, None  # `resume` says so

        found = await reading(self.engine, look)
        if found is None:
            return None
        node, kept = found
        if kept is not None:
            self._go_on(node, *kept)
        return node

    async def resume(self, node: Node) -> None:
        """Have a node's state, if anything was accepted of it. What does not hold is as if nothing had been kept."""
        if node.state is None and node.progress.boot is not None:
            await self._recall(node)
        if node.state is None and node.progress.boot is not None:
            await self._rebuild(node)

    async def complete(self, node: Node) -> None:
        """Have all of a node's evidence in its state, if anything was accepted of it."""
        if node.progress.boot is not None and (node.state is None or node.state.evidence is None):
            await self._rebuild(node)

    def wait(self, node: Node) -> None:
        """What is kept of a node is to be proved."""
        node.waits = True
        self.unproved.put_nowait(node.record.uid)

    async def prove(self, node: Node) -> None:
        """Verify and judge what is kept of a node, and hold no more of it than before."""
        before = node.state
        await self._rebuild(node)
        if before is not None and node.state is not None:
            self.memory.let_go(node)
            if node.state.result != before.result:
                node.written_at = 0  # all of it goes with the next attestation

    async def _recall(self, node: Node) -> None:
        """Go on from what was sealed of a node, if its boot and the rules are those of then."""
        try:
            found = await reading(self.engine, lambda connection: self._recalled(connection, node))
        except DecodeError as error:
            self.keeper.damaged(node, str(error), self.clock())
            return
        if found is not None:
            self._go_on(node, *found)

    def _recalled(self, connection: Connection, node: Node) -> tuple[NodeState, KeptState] | None:
        kept = kept_state(connection, node.record.id)
        sealed = None if kept is None else self.keeper.seals.open(node.record.uid, kept.sealed)
        if kept is None or sealed is None:
            return None
        rules, alike = self.rules.in_force, self.memory.alike
        state = recalled(node.record, kept, sealed, enrolment=node.enrolment, rules=rules, alike=alike)
        return None if state is None else (state, kept)

    def _go_on(self, node: Node, state: NodeState, kept: KeptState) -> None:
        node.state = state
        node.posture_id = kept.posture
        node.digest, node.renewed_at, node.written_at = kept.verdict, kept.given_at, kept.given_at
        if not (node.proved or node.waits):
            self.wait(node)

    async def _rebuild(self, node: Node) -> None:
        """Verify and judge everything that is kept of a node."""

        def rebuild(connection: Connection) -> tuple[NodeState, int | None, bytes] | None:
            kept = kept_boot(connection, node.record.id)
            if kept is None:
                return None
            state = resumed(node.record, kept, enrolment=node.enrolment, rules=self.rules.rules)
            return state, *standing(connection, node.record.id)

        try:
            found = await reading(self.engine, rebuild)
        except SenderError as error:
            self._leave_aside(node, error)
            return
        if found is not None:
            node.state, node.posture_id, node.digest = found
            node.proved = True
            self.memory.used(node)

    def _leave_aside(self, node: Node, error: SenderError) -> None:
        """What is kept of a node does not hold; it is as if it had not attested yet."""
        if not (isinstance(error, VerifyError) and error.check.startswith("identity.")):
            self.keeper.damaged(node, str(error), self.clock())
        node.progress, node.state = replace(node.progress, boot=None), None
