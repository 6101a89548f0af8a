"""Re-appraisal: when policy or Reference Values change, every node's kept evidence is judged anew, and nobody is asked.

It goes through the nodes in the background, beside attestation. A node remembers which rules its verdict was made by,
so that what a stop interrupts goes on at the next start.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from bartizan.app.attest_again import reappraise
from bartizan.app.node_state import judged_by
from bartizan.app.service.attesting import Attesting
from bartizan.app.service.clock import Clock, Now
from bartizan.app.service.keeping import Keeper
from bartizan.app.service.leases import REAPPRAISAL, Leases
from bartizan.app.service.memory import Node
from bartizan.app.service.refusals import UnknownNode
from bartizan.app.service.rulebook import RuleBook
from bartizan.store.accepting import Outdated
from bartizan.store.nodes import judged_otherwise
from bartizan.store.parts import in_parts
from bartizan.store.reading import reading

SWEEP = 30.0
"""Seconds after which one of several Verifiers looks for nodes that another one left: it died, or judged them late."""
AT_ONCE = 32
"""Nodes whose verdicts share a transaction."""
log = structlog.get_logger("bartizan.reappraisal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a re-appraisal is. total: nodes to judge; changed: those with another verdict. Times in milliseconds."""

    total: int = 0
    done: int = 0
    changed: int = 0
    begun_at: int | None = None
    ended_at: int | None = None


@dataclass(slots=True, kw_only=True)
class Reappraising:
    """The use case. progress: of the one under way, or of the last one."""

    attesting: Attesting
    keeper: Keeper
    rules: RuleBook
    leases: Leases
    clock: Clock
    progress: Progress = Progress()
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def want(self) -> None:
        """The rules have changed."""
        self._wanted.set()

    async def run(self) -> None:
        """Re-appraise whenever it is wanted, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP if self.leases.shared else None):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.reappraise()
            except Exception:  # the outermost loop: what stops one re-appraisal must not stop the next
                log.exception("re-appraisal stopped")

    async def reappraise(self) -> Progress:
        """Judge every node whose verdict was made by other rules; those that change meanwhile begin it anew.

        Of several Verifiers each judges the nodes that it has in memory, and one, under a lease, all others.
        """
        rules = self.rules.digest
        waiting = await self._stale(rules)
        if not waiting:
            return self.progress
        self.progress = Progress(total=len(waiting), begun_at=self.clock().milliseconds)
        while waiting:
            for part in in_parts(waiting, AT_ONCE):
                some = await self._ours(part)
                changed = await asyncio.gather(*map(self._judge, some))
                so_far = self.progress
                self.progress = replace(so_far, done=so_far.done + len(changed), changed=so_far.changed + sum(changed))
            if rules == self.rules.digest:
                break
            rules = self.rules.digest
            waiting = await self._stale(rules)
            self.progress = replace(self.progress, total=self.progress.total + len(waiting))
        self._end(self.clock())
        return self.progress

    async def _stale(self, rules: bytes) -> list[str]:
        return await reading(self.attesting.engine, lambda connection: judged_otherwise(connection, rules))

    async def _judge(self, uid: str) -> bool:
        """Judge one node; True if its verdict is another one now."""
        with suppress(UnknownNode):
            node = await self.attesting.node(uid)
            async with node.lock:
                await self.attesting.states.resume(node)
                try:
                    return await self._judge_locked(node, self.clock())
                except Outdated:
                    await self.attesting.catch_up(node)
                    return await self._judge_locked(node, self.clock())
        return False

    async def _ours(self, uids: Sequence[str]) -> Sequence[str]:
        """Those of these nodes that are for this Verifier to judge."""
        if not self.leases.shared:
            return uids
        held = await self.keeper.writer.submit(lambda connection: self.leases.hold(connection, REAPPRAISAL))
        if held is not None:
            return uids
        nodes = ((uid, self.attesting.memory.find(uid)) for uid in uids)
        return [uid for uid, node in nodes if node is not None and node.state is not None]

    async def _judge_locked(self, node: Node, now: Now) -> bool:
        rules = self.rules.rules
        if node.state is not None and not judged_by(node.state, rules=rules, now=now.date):
            await self.attesting.states.complete(node)
        state = node.state
        if state is None:
            return False
        if not judged_by(state, rules=rules, now=now.date):  # a state that was just rebuilt is judged by them already
            state = await asyncio.to_thread(reappraise, state, rules=rules, now=now.date)
        return await self.keeper.rejudged(node, state, now)

    def _end(self, now: Now) -> None:
        self.progress = replace(self.progress, ended_at=now.milliseconds)
        if self.progress.total:
            log.info("re-appraised", nodes=self.progress.done, changed=self.progress.changed)
