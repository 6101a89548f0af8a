"""IMA lists held against the PCR values of a made-up boot, and their findings by check. Not a test."""

from collections.abc import Sequence

from bartizan.formats.ima import decode_ima
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import VerifiedIma
from bartizan.model.result import Finding, Tier
from bartizan.verify.ima import verify_ima
from tests.unit.ima_lists import Line, ascii_list, binary, d_ng, extended, ng

SHA1, SHA256, SHA384, SM3 = HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384, HashAlg.SM3_256
BOOT_PCRS: PcrBanks = {
    alg: {pcr: alg.digest(bytes([pcr])) for pcr in range(10)} for alg in (SHA1, SHA256, SHA384, HashAlg.SHA512)
}


def aggregate(alg: HashAlg = SHA256, pcrs: range = range(10), label: bytes | None = None) -> Line:
    """boot_aggregate over the PCR values above."""
    digest = alg.digest(b"".join(BOOT_PCRS[alg][pcr] for pcr in pcrs))
    label = alg.label.encode() if label is None else label
    return Line(
        "ima-ng", (d_ng(digest, label), b"boot_aggregate\0"), label + b":" + digest.hex().encode() + b" boot_aggregate"
    )


LINES = [aggregate(), ng(b"/a", b"\x01" * 32), ng(b"/v", violation=True), ng(b"/b", b"\x02" * 32)]


def pcrs_after(lines: Sequence[Line], *algs: HashAlg, padded: Sequence[HashAlg] = ()) -> PcrBanks:
    """PCR 0–10 of a TPM in which these entries were measured."""
    return {
        alg: {**BOOT_PCRS.get(alg, {}), 10: extended(lines, alg, padded=alg in padded)} for alg in algs or (SHA256,)
    }


def verified(
    lines: Sequence[Line], pcrs: PcrBanks | None = None, *, pinned: HashAlg = SHA256, ascii_form: bool = False
) -> VerifiedIma:
    raw = ascii_list(lines) if ascii_form else binary(lines)
    return verify_ima(decode_ima(raw), pcrs_after(lines) if pcrs is None else pcrs, pinned=pinned)


def findings(result: VerifiedIma, check: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.id == f"ima.{check}"]


def finding(result: VerifiedIma, check: str) -> Finding:
    (found,) = findings(result, check)
    return found


def tiers(result: VerifiedIma) -> dict[str, Tier]:
    return {found.id.removeprefix("ima."): found.tier for found in result.findings}
