"""What other rules would do to the fleet: every node's kept evidence judged by them, and nothing written.

The rules in force stay in force, and no node is asked. One trial runs at a time; it ends when nobody listens any more.
"""

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from bartizan.app.attest_again import reappraise
from bartizan.app.attest_node import Rules
from bartizan.app.changed_verdict import in_words, what_changed
from bartizan.app.node_state import NodeState, judged_by
from bartizan.app.service.policies import named_policy
from bartizan.app.service.references import Step, after_step, may_go, stored_set
from bartizan.app.service.refusals import Conflict, UnknownNode
from bartizan.app.service.service import Service
from bartizan.appraise.context import index_reference
from bartizan.formats.reference_file import decode_reference
from bartizan.model.result import AttestationResult
from bartizan.store.nodes import standing_nodes
from bartizan.store.rules import stored_sets

NAMED = 1000
"""Nodes that are named of those with another verdict; the counts are of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A node that would have another level, or be contraindicated where it is not, or the other way.

    worse: it would stand lower, or become contraindicated; check, why: the finding that does it.
    """

    node: str
    before: int
    after: int
    contraindicated_before: bool
    contraindicated_after: bool
    worse: bool
    check: str
    why: str


@dataclass(slots=True, kw_only=True)
class Trial:
    """How far it is, and what was found. unjudged: nodes that nothing is kept of, or what is kept does not hold."""

    total: int
    done: int = 0
    unjudged: int = 0
    before: Counter[int] = field(default_factory=Counter)
    after: Counter[int] = field(default_factory=Counter)
    contraindicated_before: int = 0
    contraindicated_after: int = 0
    worse: int = 0
    better: int = 0
    moved: list[Moved] = field(default_factory=list)

    def add(self, name: str, old: AttestationResult, new: AttestationResult) -> None:
        """One node's two verdicts."""
        self.before[old.level] += 1
        self.after[new.level] += 1
        self.contraindicated_before += old.contraindicated
        self.contraindicated_after += new.contraindicated
        if (old.level, old.contraindicated) == (new.level, new.contraindicated):
            return
        moved = _moved(name, old, new)
        self.worse += moved.worse
        self.better += not moved.worse
        insort(self.moved, moved, key=lambda one: (not one.worse, one.after - one.before, one.node))
        del self.moved[NAMED:]


async def try_policy(service: Service, raw: bytes) -> AsyncGenerator[Trial, None]:
    """The trial of a policy, after every node and at its end.

    Raises:
        Unfit, PolicyError: it is no policy. With the first one: Conflict, where another trial is under way.
    """
    policy = await asyncio.to_thread(named_policy, service, raw)
    return _try(service, replace(service.rules.rules, policy=policy))


async def try_step(service: Service, number: int, step: Step) -> AsyncGenerator[Trial, None]:
    """The trial of a step in the life of a set of Reference Values: that it were approved, retired or revoked.

    Raises:
        Missing: there is no such set. Conflict: its state does not lead there; and as for `try_policy`.
    """

    def read(connection: Connection) -> Rules:
        stored = stored_set(connection, number)
        may_go(stored, step)
        others = [decode_reference(one.document) for one in stored_sets(connection) if one.id != number]
        index = index_reference(*others, after_step(decode_reference(stored.document), step))
        return replace(service.rules.rules, reference=index)

    return _try(service, await service.read(read))


async def _try(service: Service, rules: Rules) -> AsyncGenerator[Trial, None]:
    if service.trying:
        raise Conflict("another trial is under way; one runs at a time")
    service.trying = True
    try:
        nodes = await service.read(standing_nodes)
        trial = Trial(total=len(nodes))
        yield trial
        for uid, name in nodes:
            await _judge(service, trial, uid=uid, name=name, rules=rules)
            yield trial
    finally:
        service.trying = False


async def _judge(service: Service, trial: Trial, *, uid: str, name: str, rules: Rules) -> None:
    trial.done += 1
    state = None
    with suppress(UnknownNode):
        node = await service.attesting.node(uid)
        async with node.lock:
            await service.attesting.states.complete(node)
            state = node.state
    if state is None:
        trial.unjudged += 1
        return
    old, new = await asyncio.to_thread(_both, state, service.rules.rules, rules, service)
    trial.add(name, old, new)


def _both(state: NodeState, now: Rules, tried: Rules, service: Service) -> tuple[AttestationResult, AttestationResult]:
    """The verdicts by the rules in force and by those that are tried."""
    at = service.clock().date
    current = state if judged_by(state, rules=now, now=at) else reappraise(state, rules=now, now=at)
    return current.result, reappraise(current, rules=tried, now=at).result


def _moved(name: str, old: AttestationResult, new: AttestationResult) -> Moved:
    worse = _rank(new) < _rank(old)
    cause = what_changed(old.findings, new.findings, worse=worse)
    return Moved(
        node=name,
        before=old.level,
        after=new.level,
        contraindicated_before=old.contraindicated,
        contraindicated_after=new.contraindicated,
        worse=worse,
        check="" if cause is None else cause.id,
        why=in_words(cause, new.findings),
    )


def _rank(result: AttestationResult) -> tuple[bool, int]:
    """For a comparison: contraindicated is below everything."""
    return not result.contraindicated, result.level
