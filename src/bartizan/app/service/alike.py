"""Results that are equal, held once: most nodes of a fleet get the same findings. It judges nothing.

What is shared is frozen, so that nobody can tell a result from its equal. Whoever uses one keeps it, remembered or not.
"""

import hashlib
from collections.abc import Hashable
from dataclasses import replace
from typing import Any, TypeVar

from bartizan.app.node_state import NodeState
from bartizan.formats.result_json import decode_result
from bartizan.model.cbor import Encoded
from bartizan.model.result import AttestationResult, Finding

REMEMBERED = 100_000
"""Findings and other parts that are remembered before all are forgotten."""
T = TypeVar("T")


class Alike:
    """Equal findings, ladders, vectors and whole results, each held once."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def state(self, state: NodeState) -> NodeState:
        """The same state, in parts that other states may have too."""
        identity = replace(state.identity, findings=self._findings(state.identity.findings))
        return replace(state, identity=identity, result=self._result(state.result), stuck=self._findings(state.stuck))

    def kept(self, document: bytes) -> AttestationResult:
        """The result of a document, decoded once however many nodes have it.

        Raises:
            DecodeError: it is none.
        """
        key = "document", hashlib.sha256(document).digest()
        found = self._known.get(key)
        return self._once(key, self._result(decode_result(document))) if found is None else found

    def encoded(self, encoded: Encoded) -> Encoded:
        """The same bytes."""
        return self._once(("encoded", encoded.raw), encoded)

    def _result(self, result: AttestationResult) -> AttestationResult:
        if id(result) in self._known:  # which holds it, so that no other can have its id
            return result
        findings = self._findings(result.findings)
        made = replace(
            result,
            findings=findings,
            ladder=self._once(("ladder", result.ladder), result.ladder),
            vector=self._once(("vector", *result.vector.items()), result.vector),
            strength=self._once(("strength", *result.strength.items()), result.strength),
        )
        known = self._once(("result", findings, result.state, result.policy, result.reference), made)
        shared = known if known == made else made
        return self._once(id(shared), shared)

    def _findings(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        each = tuple(self._once(finding, finding) for finding in findings)
        return self._once(each, each)

    def _once(self, key: Hashable, value: T) -> T:
        known = self._known
        if len(known) >= REMEMBERED:
            known.clear()
        found: T = known.setdefault(key, value)
        return found
