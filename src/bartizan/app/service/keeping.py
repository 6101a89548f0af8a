"""Keeping what was accepted: evidence, state and verdict of one attestation in one transaction, then in memory."""

import asyncio
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bartizan.app.node_state import NodeState
from bartizan.app.service.clock import Now
from bartizan.app.service.judging import Judged, node_start
from bartizan.app.service.memory import Node
from bartizan.app.service.recalling import sealing
from bartizan.app.service.rulebook import RuleBook
from bartizan.app.service.seals import Seals
from bartizan.app.service.settings import Attestation
from bartizan.app.service.verdicts import findings_json, verdict_of
from bartizan.formats.cbor import encode_cbor
from bartizan.model.node import Silence
from bartizan.model.protocol import EvidenceRequest
from bartizan.store.accepting import accept, claim
from bartizan.store.alarms import raise_alarm
from bartizan.store.evidence import (
    Interning,
    add_boot,
    add_entries,
    add_posture,
    encode_quote,
    replace_boot,
    set_stuck,
)
from bartizan.store.kept import set_aside
from bartizan.store.nodes import MAX_REFUSAL, refused, set_boot, set_rules, set_sealed
from bartizan.store.results import Verdict, add_result, given, renew_result
from bartizan.store.writer import Row, Writer, WriterLost

HEARTBEAT = 600_000
"""Milliseconds after which the history says once more that a verdict stands."""
REWRITE = 3_600_000
"""Milliseconds, and at most twice as many, after which all of it is written again: somebody may have edited it."""
SPREAD = 999_983
"""A prime: nodes that came in one after the other are written far apart."""
log = structlog.get_logger("bartizan.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """Where the database has a node's boot, verdict and posture, and the version of its row from then on."""

    version: int
    boot: int | None
    result: int | None
    posture: int | None


@dataclass(slots=True, kw_only=True)
class Keeper:
    """Writes what was accepted. accepted, refusals: attestations since the start, those refused by the first word."""

    writer: Writer
    interning: Interning
    rules: RuleBook
    seals: Seals
    settings: Attestation
    accepted: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    _pending: set["asyncio.Future[None]"] = field(default_factory=set)

    async def keep(self, node: Node, request: EvidenceRequest, judged: Judged, *, issued: int, now: Now) -> None:
        """Commit an accepted attestation; only then is it in memory.

        Raises:
            Outdated: somebody else changed the node's row since it was read, and nothing changed here.
            sqlalchemy.exc.SQLAlchemyError: it could not be written, and nothing changed.
        """
        due = now.milliseconds + self.settings.period * 1000
        change = _Change(node, judged, rules=self._named(judged.state), seals=self.seals, at=now.milliseconds)
        row = {
            "of_node": node.record.id,
            "of_version": node.progress.version,
            "accepted": node.progress.accepted + 1,
            "accepted_at": now.milliseconds,
            "nonce_issued": issued,
            "due": due,
            "evidence": encode_quote(request),
            "posture": node.posture_id,
            "agent": request.agent,
            "notes": zlib.compress(encode_cbor(list(request.notes))) if request.notes else None,
        }
        if change.needed:
            numbers = await self.writer.submit(lambda connection: change.write(connection, self.interning, row))
        else:
            await self.writer.submit_row(accept, row)
            numbers = change.numbers
            self._renew(node, now)
        change.remember(numbers)
        result = judged.state.result
        node.progress = replace(
            node.progress,
            accepted=node.progress.accepted + 1,
            accepted_at=now.milliseconds,
            nonce_issued=issued,
            due=due,
            silence=Silence.NONE,
            level=result.level,
            contraindicated=result.contraindicated,
            boot=numbers.boot,
            result=numbers.result,
            attempted_at=now.milliseconds,
            refusal=None,
            version=numbers.version,
        )
        self.accepted += 1

    def _renew(self, node: Node, now: Now) -> None:
        """Say now and then when the verdict was last given; nobody waits for that."""
        if now.milliseconds - node.renewed_at <= HEARTBEAT:
            return
        node.renewed_at = now.milliseconds
        self._unattended(self.writer.submit_row(given, {"of_result": node.progress.result, "at": now.milliseconds}))

    async def rejudged(self, node: Node, state: NodeState, now: Now) -> bool:
        """Keep the verdict that a node's kept evidence has by other rules; True if it is another one than before.

        Raises:
            Outdated: as above. sqlalchemy.exc.SQLAlchemyError: it could not be written, and nothing changed.
        """
        judged = Judged(state=state)
        change = _Change(node, judged, rules=self._named(state), seals=self.seals, at=now.milliseconds)
        numbers = await self.writer.submit(change.rejudge)
        before = node.digest
        change.remember(numbers)
        result = state.result
        node.progress = replace(
            node.progress,
            level=result.level,
            contraindicated=result.contraindicated,
            result=numbers.result,
            version=numbers.version,
        )
        return before != node.digest

    def _named(self, state: NodeState) -> bytes:
        """What names the rules that a state was judged by; nothing, if others came into force meanwhile."""
        rules = self.rules.in_force  # read once: another thread may put others in force at any time
        return rules.digest if state.rules is rules.rules else b""

    def refused(self, node: Node, why: str, now: Now) -> None:
        """Say of a node that its last attempt was refused; nobody waits for that."""
        self.refusals[why.partition(":")[0][:64]] += 1
        said = why[:MAX_REFUSAL]
        node.progress = replace(node.progress, attempted_at=now.milliseconds, refusal=said)
        row = {"of_node": node.record.id, "attempted_at": now.milliseconds, "refusal": said}
        row["of_accepted"] = node.progress.accepted
        self._unattended(self.writer.submit_row(refused, row))

    def damaged(self, node: Node, why: str, now: Now) -> None:
        """What is kept of a node does not hold: somebody else wrote to the database, or the disk failed.

        Memory names nothing of it any more, so that the next full attestation stores all of it anew.
        """
        node.posture_id, node.digest = None, b""
        log.error("kept evidence does not hold", node=node.record.name, why=why)
        said = f"what is kept of node {node.record.name} does not hold, and was left aside: {why}"

        def leave_aside(connection: Connection) -> None:
            set_aside(connection, node.record.id)
            raise_alarm(connection, "damaged", said, now=now.milliseconds)

        self._unattended(self.writer.submit(leave_aside))

    def _unattended(self, written: "asyncio.Future[None]") -> None:
        self._pending.add(written)
        written.add_done_callback(self._ended)

    def _ended(self, written: "asyncio.Future[None]") -> None:
        self._pending.discard(written)
        if not written.cancelled() and isinstance(error := written.exception(), SQLAlchemyError | WriterLost):
            log.error("could not be written", why=str(error))


class _Change:
    """What an accepted attestation changes beside its own row, if anything."""

    def __init__(self, node: Node, judged: Judged, *, rules: bytes, seals: Seals, at: int) -> None:
        self._node = node
        self._seals = seals
        self._judged = judged
        self._rules = rules
        self._at = at
        before, after = node.state, judged.state
        self._verdict: Verdict | None = None
        if (
            before is None
            or judged.boot is not None
            or after.result is not before.result
            or at - node.written_at > REWRITE + node.record.id * SPREAD % REWRITE
        ):
            self._verdict = verdict_of(after.result)
        self._posture = after.posture != (None if before is None else before.posture)
        self._stuck = before is None or after.stuck != before.stuck

    @property
    def _begins_boot(self) -> bool:
        """Another boot than before; all logs may come again within one."""
        before = self._node.state
        if self._judged.boot is None or before is None:
            return self._judged.boot is not None
        old, new = (state.quote.attest.clock for state in (before, self._judged.state))
        return (old.reset_count, old.restart_count) != (new.reset_count, new.restart_count)

    @property
    def numbers(self) -> _Numbers:
        """Those of before, but for the version that the row of this attestation gets."""
        progress = self._node.progress
        return _Numbers(
            version=progress.version + 1, boot=progress.boot, result=progress.result, posture=self._node.posture_id
        )

    @property
    def needed(self) -> bool:
        """Something beside the row of this attestation has to be written."""
        return bool(self._verdict or self._judged.boot or self._judged.entries or self._posture or self._stuck)

    def write(self, connection: Connection, interning: Interning, row: Row) -> _Numbers:
        """Everything, in the caller's transaction.

        Raises:
            Outdated: the node's row is another one by now; nothing was written.
        """
        node, judged, before = self._node, self._judged, self.numbers
        version = claim(connection, node.record.id, node.progress.version)
        stuck, start = findings_json(judged.state.stuck), node_start(judged.state)
        number = before.boot
        if judged.boot is not None and number is not None and not self._begins_boot:
            replace_boot(connection, number, judged.boot, stuck=stuck, ima_start=start)
        elif judged.boot is not None or number is None:
            number = add_boot(connection, node.record.id, judged.boot, stuck=stuck, now=self._at, ima_start=start)
            set_boot(connection, node.record.id, number)
        elif self._stuck:
            set_stuck(connection, number, stuck)
        if judged.entries:
            add_entries(connection, interning, number, judged.entries, first=judged.first)
        posture = before.posture
        if self._posture:
            posture = add_posture(connection, judged.state.complete().posture)
        result = self._write_verdict(connection, number)
        self._seal(connection, number, stuck)
        accept(connection, [dict(row) | {"posture": posture, "of_version": version}])
        return _Numbers(version=version + 1, boot=number, result=result, posture=posture)

    def rejudge(self, connection: Connection) -> _Numbers:
        """The verdict alone, by which rules it was made, and what sticks to the boot.

        Raises:
            Outdated: as above.
        """
        before, state = self.numbers, self._judged.state
        claim(connection, self._node.record.id, self._node.progress.version)
        if before.boot is None:
            return before
        stuck = findings_json(state.stuck)
        set_stuck(connection, before.boot, stuck)
        self._verdict = verdict_of(state.result)
        result = self._write_verdict(connection, before.boot)
        self._seal(connection, before.boot, stuck)
        return replace(before, result=result)

    def _seal(self, connection: Connection, boot: int, stuck: bytes) -> None:
        """Seal what was judged, by rules that have a name; else it is judged again after a restart."""
        node, verdict, sealed = self._node, self._verdict, None
        if verdict is not None and self._rules:
            state = sealing(
                self._judged.state,
                boot=boot,
                rules=self._rules,
                document=verdict.document,
                stuck=stuck,
                judged_at=self._at,
            )
            sealed = self._seals.seal(node.record.uid, state)
        set_sealed(connection, node.record.id, sealed)

    def _write_verdict(self, connection: Connection, boot: int) -> int | None:
        number, verdict = self._node.progress.result, self._verdict
        if verdict is None:
            return number
        set_rules(connection, self._node.record.id, self._rules)
        if number is None or self._begins_boot or verdict.digest != self._node.digest:
            return add_result(connection, self._node.record.id, verdict, boot=boot, now=self._at)
        renew_result(connection, number, verdict.document, now=self._at)
        return number

    def remember(self, numbers: _Numbers) -> None:
        """After the commit: what memory holds of it."""
        node = self._node
        node.state = self._judged.state
        node.posture_id = numbers.posture
        if self._verdict is not None:
            node.digest, node.renewed_at, node.written_at = self._verdict.digest, self._at, self._at
