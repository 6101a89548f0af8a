"""Results and findings as JSON documents: one shape each, wherever they are shown, sent or kept."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bartizan.errors import DecodeError
from bartizan.formats.strict import json_value
from bartizan.model.result import Anchor, AttestationResult, Claim, Confinement, Finding, Pointer, Rung, State, Tier


def pointer_document(at: Pointer) -> dict[str, int | str]:
    """The parts of a pointer that point somewhere."""
    parts = {"pcr": at.pcr, "event": at.event, "entry": at.entry, "path": at.path, "bank": at.bank}
    parts["workload"] = at.workload
    return {key: value for key, value in parts.items() if value is not None}


def finding_document(finding: Finding) -> dict[str, Any]:
    """The one JSON shape of a finding."""
    document: dict[str, Any] = {
        "id": finding.id,
        "claim": finding.claim.value,
        "tier": finding.tier.value,
        "why": finding.why,
        "anchor": finding.anchor.value,
        "at": pointer_document(finding.at),
    }
    return document | ({"waiver": finding.waiver} if finding.waiver else {})


def result_document(result: AttestationResult) -> dict[str, Any]:
    """`bartizan appraise --json`, and what the service keeps and hands out."""
    return {
        "level": result.level,
        "state": result.state.value,
        "contraindicated": result.contraindicated,
        "vector": {claim.value: tier.value for claim, tier in result.vector.items()},
        "ladder": [
            {
                "level": rung.number,
                "name": rung.name,
                "question": rung.question,
                "holds": rung.holds if rung.assessed else None,
                "missing": list(rung.missing),
            }
            for rung in result.ladder
        ],
        "strength": {str(pcr): bank for pcr, bank in result.strength.items()},
        "confinement": _confinement_document(result.confinement) if result.confinement is not None else None,
        "policy": result.policy,
        "reference": result.reference,
        "findings": [finding_document(finding) for finding in result.findings],
    }


def _confinement_document(confinement: Confinement) -> dict[str, Any]:
    return {
        "profile": confinement.profile,
        "held": {anchor.value: count for anchor, count in confinement.held.items()},
        "open": list(confinement.open),
        "workloads": confinement.workloads,
    }


class _Place(msgspec.Struct, forbid_unknown_fields=True):
    pcr: int | None = None
    event: int | None = None
    entry: int | None = None
    path: str | None = None
    bank: str | None = None
    workload: str | None = None


class _Finding(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    claim: Claim
    tier: Tier
    why: str
    anchor: Anchor
    at: _Place
    waiver: str = ""


class _Rung(msgspec.Struct, forbid_unknown_fields=True):
    level: int
    name: str
    question: str
    holds: bool | None
    missing: tuple[str, ...]


class _Confinement(msgspec.Struct, forbid_unknown_fields=True):
    profile: str
    held: dict[Anchor, int]
    open: tuple[str, ...]
    workloads: int


class _Result(msgspec.Struct, forbid_unknown_fields=True):
    level: int
    state: State
    contraindicated: bool
    vector: dict[Claim, Tier]
    ladder: tuple[_Rung, ...]
    strength: dict[int, str]
    confinement: _Confinement | None
    policy: str
    reference: str | None
    findings: list[_Finding]


def rung_of(*, level: int, name: str, question: str, holds: bool | None, missing: Iterable[str]) -> Rung:
    """A rung from the members of its document (`result_document`); holds: None where it was not assessed."""
    return Rung(
        number=level,
        name=name,
        question=question,
        holds=bool(holds),
        assessed=holds is not None,
        missing=tuple(missing),
    )


def decode_result(raw: bytes) -> AttestationResult:
    """A result from the bytes of its document (`result_document`).

    Raises:
        DecodeError: no such document.
    """
    try:
        row = msgspec.convert(json_value(raw, "result"), _Result, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        raise DecodeError("result", 0, str(error)) from error
    confined = row.confinement
    return AttestationResult(
        level=row.level,
        state=row.state,
        contraindicated=row.contraindicated,
        vector=row.vector,
        findings=_made(row.findings),
        ladder=tuple(rung_of(**msgspec.structs.asdict(rung)) for rung in row.ladder),
        policy=row.policy,
        reference=row.reference,
        strength=row.strength,
        confinement=None if confined is None else Confinement(**msgspec.structs.asdict(confined)),
    )


def decode_findings(raw: bytes) -> tuple[Finding, ...]:
    """Findings from a JSON array of their documents.

    Raises:
        DecodeError: no such array.
    """
    return _findings(json_value(raw, "findings"))


def decode_kept_findings(raw: bytes) -> tuple[Finding, ...]:
    """The findings of a result's whole document.

    Raises:
        DecodeError: it has none.
    """
    document = json_value(raw, "result")
    return _findings(document.get("findings") if isinstance(document, dict) else None)


def _findings(value: object) -> tuple[Finding, ...]:
    try:
        rows = msgspec.convert(value, list[_Finding], strict=True)
    except msgspec.ValidationError as error:
        raise DecodeError("findings", 0, str(error)) from error
    return _made(rows)


def _made(rows: Iterable[_Finding]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            id=row.id,
            claim=row.claim,
            tier=row.tier,
            why=row.why,
            anchor=row.anchor,
            at=Pointer(**msgspec.structs.asdict(row.at)),
            waiver=row.waiver,
        )
        for row in rows
    )
