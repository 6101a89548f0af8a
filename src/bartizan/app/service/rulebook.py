"""The rules in force: the active policy and the Reference Value sets, indexed once and shared by all nodes."""

import hashlib
import threading
from importlib.metadata import version
from typing import NamedTuple

from sqlalchemy import Connection

from bartizan.app.attest_node import Rules
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.appraise.catalogue import load_policy
from bartizan.appraise.context import ReferenceIndex, index_reference
from bartizan.formats.reference_file import decode_reference
from bartizan.model.policy import Policy
from bartizan.model.reference import ReferenceSet
from bartizan.store.rules import active_policy, stored_sets

_Content = tuple[bytes | None, tuple[tuple[bytes, str], ...]]
"""Digest of the policy, and of each set with its state."""


class InForce(NamedTuple):
    """Rules, what they were read from, and what names both and this program: always of one reading."""

    rules: Rules
    content: _Content
    digest: bytes


class RuleBook:
    """Rules by content: as long as nothing changes they are one and the same object, which appraisal relies on."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._sets: dict[tuple[bytes, str], ReferenceSet] = {}
        shipped = Rules(catalogue=catalogue(), levels=levels(), policy=default_policy(), reference=None)
        self._now = InForce(shipped, (None, ()), _digest((None, ())))

    @property
    def rules(self) -> Rules:
        """Those in force."""
        return self._now.rules

    @property
    def in_force(self) -> InForce:
        """Those in force, and what names them."""
        return self._now

    @property
    def digest(self) -> bytes:
        """Names the rules in force."""
        return self._now.digest

    def read(self, connection: Connection) -> bool:
        """Read what is in force; True if it is something else than before. One reads after the other.

        connection: a new one, so that it sees all that was committed before its turn.

        Raises:
            PolicyError, DecodeError: what is stored is not usable; the former rules stay.
        """
        with self._reading:
            return self._read(connection)

    def _read(self, connection: Connection) -> bool:
        policy = active_policy(connection)
        rows = stored_sets(connection)
        content = (None if policy is None else policy.digest, tuple((row.digest, row.state) for row in rows))
        if content == self._now.content:
            return False
        known = {(row.digest, row.state): self._sets.get((row.digest, row.state)) or _set(row.document) for row in rows}
        loaded = default_policy() if policy is None else _policy(policy.document, f"{policy.name} v{policy.version}")
        index = _index(tuple(known.values()))
        rules = Rules(catalogue=catalogue(), levels=levels(), policy=loaded, reference=index)
        self._sets, self._now = known, InForce(rules, content, _digest(content))
        return True


def _digest(content: _Content) -> bytes:
    """Names rules and the program that applies them: another version of Bartizan may judge otherwise."""
    policy, sets = content
    named = [
        version("bartizan"),
        "" if policy is None else policy.hex(),
        *(f"{one.hex()} {state}" for one, state in sets),
    ]
    return hashlib.sha256("\n".join(named).encode()).digest()


def _policy(document: bytes, source: str) -> Policy:
    return load_policy(document.decode(), catalogue(), source=source)


def _set(document: bytes) -> ReferenceSet:
    return decode_reference(document)


def _index(sets: tuple[ReferenceSet, ...]) -> ReferenceIndex | None:
    return index_reference(*sets) if sets else None
