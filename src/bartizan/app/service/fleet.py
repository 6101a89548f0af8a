"""What people and Relying Parties ask about nodes: their state now, their verdict, a signed one. It judges nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from bartizan.app.changed_verdict import in_words, what_changed
from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.clock import Now
from bartizan.app.service.refusals import Conflict, Missing
from bartizan.app.service.service import Service
from bartizan.app.service.settings import Attestation
from bartizan.formats.result_json import decode_kept_findings
from bartizan.formats.strict import json_value
from bartizan.model.node import Silence
from bartizan.model.result import Finding, State
from bartizan.store.joining import close_overtaken
from bartizan.store.nodes import NodeFilter, NodeRow, find_row, retire_node
from bartizan.store.results import KeptResult, find_result
from bartizan.store.rules import Author
from bartizan.store.watching import LevelCount, level_counts_at

SECOND = 1000
STATES = {Silence.NONE: State.FRESH, Silence.LATE: State.LATE, Silence.EXPIRED: State.EXPIRED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A node with the verdict that stands, and how current that is now."""

    node: NodeRow
    state: State
    result: KeptResult

    @property
    def document(self) -> dict[str, Any]:
        """The result as a document, with the state of now."""
        kept: dict[str, Any] = json_value(self.result.document, "kept result")
        return kept | {"state": self.state.value}


def state_of(due: int, settings: Attestation, now: Now) -> State:
    """How current a node's verdict is. due: when it should have come, in milliseconds."""
    behind = now.milliseconds - due
    if behind > settings.expired * SECOND:
        return State.EXPIRED
    return State.LATE if behind > settings.late * SECOND else State.FRESH


def in_state(wanted: NodeFilter, state: State | None, settings: Attestation, now: Now) -> NodeFilter:
    """The same nodes, if they are in this state now."""
    late, expired = now.milliseconds - settings.late * SECOND, now.milliseconds - settings.expired * SECOND
    if state is State.FRESH:
        return replace(wanted, due_from=late)
    if state is State.LATE:
        return replace(wanted, due_from=expired, due_before=late)
    return wanted if state is None else replace(wanted, due_before=expired)


def seen_node(connection: Connection, who: Who, given: str) -> NodeRow:
    """A node by its name or id.

    Raises:
        Missing: there is none, or it belongs to a project that is not the asker's.
    """
    found = find_row(connection, given, project_id=who.sees)
    if found is None:
        raise Missing(f"no node {given!a}")
    return found


def state_counts(connection: Connection, service: Service) -> list[tuple[str, LevelCount]]:
    """How many enrolled nodes are in which state now, by level."""
    now, settings = service.clock().milliseconds, service.settings.attestation
    found = level_counts_at(connection, late=now - settings.late * SECOND, expired=now - settings.expired * SECOND)
    return [(STATES[count.silence].value, count) for count in found]


async def standing_of(service: Service, who: Who, given: str) -> Standing:
    """A node's verdict.

    Raises:
        Missing: there is no such node, or nothing was accepted of it yet.
    """

    def query(connection: Connection) -> tuple[NodeRow, KeptResult | None]:
        node = seen_node(connection, who, given)
        return node, None if node.result is None else find_result(connection, node.result)

    node, result = await service.read(query)
    if result is None:
        raise Missing(f"nothing was accepted of node {node.name} yet")
    return Standing(node=node, state=state_of(node.due, service.settings.attestation, service.clock()), result=result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A verdict of the history. cause, why: the finding that made it another than the one before, and in words."""

    row: KeptResult
    cause: Finding | None
    why: str


def told_history(rows: Sequence[KeptResult]) -> list[Told]:
    """Verdicts, the newest first, each with what made it another than the one behind it in the list."""
    found = [decode_kept_findings(row.document) for row in rows]
    told: list[Told] = []
    for place, row in enumerate(rows):
        cause = None
        if place + 1 < len(rows):
            before = rows[place + 1]
            fell = (not row.contraindicated, row.level) <= (not before.contraindicated, before.level)
            cause = what_changed(found[place + 1], found[place], worse=fell)
        told.append(Told(row=row, cause=cause, why=in_words(cause, found[place])))
    return told


async def signed_result(service: Service, standing: Standing, *, nonce: str | None) -> str:
    """The verdict as an EAR that ends when the node's state expires, at the latest.

    Raises:
        Conflict: the state has expired already, or what is kept of the node does not hold. UnknownNode: it is retired.
        ConfigError, ConnectorError: the key that signs cannot be used.
    """
    now, settings = service.clock(), service.settings.attestation
    expires = standing.node.due // SECOND + settings.expired
    if expires <= now.milliseconds // SECOND:
        raise Conflict(f"node {standing.node.name} was not heard of since its last verdict expired: nothing to sign")
    held = (await service.attesting.current(standing.node.uid)).state
    if held is None:
        raise Conflict(f"what is kept of node {standing.node.name} does not hold; see the service's alarms")
    result = replace(held.result, state=standing.state)
    subject = standing.node.name
    sign = partial(service.signer.sign, result, subject=subject, nonce=nonce, expires=expires, now=now)
    return await asyncio.to_thread(sign)


async def retire(service: Service, who: Who, given: str, *, reason: str) -> NodeRow:
    """Take a node off the list of the enrolled; its history stays, and its EK's registration is spent, its reviews too.

    Raises:
        Missing: there is no such node. Conflict: it is retired already.
    """

    def run(connection: Connection, author: Author) -> NodeRow:
        node = seen_node(connection, who, given)
        if node.retired_at is not None:
            raise Conflict(f"node {node.name} ({node.uid}) is retired already")
        retire_node(connection, node.id, at=author.now)
        why = f"{node.name} was retired: {reason}"
        close_overtaken(connection, ek_name=node.ek_name, node_name=None, reason=why, now=author.now)
        return replace(node, retired_at=author.now)

    def deed(node: NodeRow) -> Deed:
        return Deed("node.retire", f"node:{node.name}", f"{node.uid}: {reason}")

    node = await change(service, who, run, deed)
    service.memory.forget(node.uid)
    return node
