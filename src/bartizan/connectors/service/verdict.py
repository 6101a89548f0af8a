"""A verdict as the service sends it, as the result that the rest of the program knows."""

import msgspec

from bartizan.connectors.service.documents import Document, Result
from bartizan.errors import ConnectorError, DecodeError
from bartizan.formats.result_json import decode_findings, rung_of
from bartizan.model.result import AttestationResult, Claim, State, Tier


class _Rung(Document, frozen=True):
    level: int
    name: str
    question: str
    holds: bool | None
    missing: list[str]


class _Verdict(Document, frozen=True):
    level: int
    state: State
    contraindicated: bool
    vector: dict[Claim, Tier]
    ladder: list[_Rung]
    policy: str
    reference: str | None
    findings: msgspec.Raw


def verdict_of(answer: Result) -> AttestationResult:
    """The result in an answer.

    Raises:
        ConnectorError: it is none.
    """
    try:
        found = msgspec.json.decode(msgspec.json.encode(answer.result), type=_Verdict)
        findings = decode_findings(bytes(found.findings))
    except (msgspec.DecodeError, DecodeError) as error:
        raise ConnectorError(
            f"the verdict on {answer.node} is not what was expected: {error}; is the service of another version?"
        ) from error
    return AttestationResult(
        level=found.level,
        state=found.state,
        contraindicated=found.contraindicated,
        vector={claim: found.vector.get(claim, Tier.NONE) for claim in Claim},
        findings=findings,
        ladder=tuple(rung_of(**msgspec.structs.asdict(rung)) for rung in found.ladder),
        policy=found.policy,
        reference=found.reference,
    )
