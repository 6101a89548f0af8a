"""Results that are equal, held once: most nodes of a fleet get the same findings. It judges nothing.

What is shared is frozen, so that nobody can tell a result from its equal. Whoever uses one keeps it, remembered or not.
A result with very many findings is one machine's own: nothing of it is remembered, nor compared.
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
SMALL = 1_000
"""Findings of what is remembered, at most: to hash and to hold more would cost much, and hardly ever share anything."""
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
        found: AttestationResult | None = self._known.get(key)
        if found is not None:
            return found
        result = self._result(decode_result(document))
        return self._once(key, result) if len(result.findings) <= SMALL else result

    def encoded(self, encoded: Encoded) -> Encoded:
        """The same bytes."""
        return self._once(("encoded", encoded.raw), encoded)

    def _result(self, result: AttestationResult) -> AttestationResult:
        if id(result) in self._known or len(result.findings) > SMALL:  # an id is that of one held here, and of no other
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
        if len(findings) > SMALL:
            return findings
        each = tuple(self._once(finding, finding) for finding in findings)
        return self._once(each, each)

    def _once(self, key: Hashable, value: T) -> T:
        known = self._known
        if len(known) >= REMEMBERED:
            known.clear()
        found: T = known.setdefault(key, value)
        return found
