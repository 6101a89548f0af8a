"""`bartizan ima`: one IMA list by itself, and against PCR 10 if its value is given."""

from dataclasses import dataclass

from bartizan.app.inspect_log import PREFERENCE
from bartizan.errors import ConfigError
from bartizan.formats.ima import decode_ima
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import VerifiedIma
from bartizan.model.ima import IMA_PCR, ImaList
from bartizan.model.result import Finding, Tier, worst
from bartizan.verify.ima import verify_ima

UNCOMPARED = frozenset({"ima.replays", "ima.boot-aggregate"})
"""Findings that say nothing where no PCR value was given to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaReport:
    """What a list says, and how much of it the TPM's PCR 10 vouches for (`matched` None: not at all, or not asked)."""

    list: ImaList
    pinned: HashAlg | None
    matched: int | None
    findings: tuple[Finding, ...]

    @property
    def violations(self) -> int:
        """How many entries are violations."""
        return sum(entry.is_violation for entry in self.list.entries)

    @property
    def status(self) -> Tier:
        """The worst tier of all findings."""
        return worst([finding.tier for finding in self.findings])

    @property
    def good(self) -> bool:
        """Not contraindicated, and PCR 10 matches if it was given."""
        return self.status is not Tier.CONTRAINDICATED and (self.pinned is None or self.matched is not None)


def inspect_ima(raw: bytes, pcrs: PcrBanks | None) -> ImaReport:
    """Decode, replay and check an IMA list.

    Raises:
        DecodeError: the bytes are no IMA list. ConfigError: PCR values are given, and PCR 10 is not among them.
    """
    ima = decode_ima(raw)
    if pcrs is None:
        findings = verify_ima(ima, {}, pinned=HashAlg.SHA256).findings
        kept = tuple(finding for finding in findings if finding.id not in UNCOMPARED)
        return ImaReport(list=ima, pinned=None, matched=None, findings=kept)
    pinned = next((alg for alg in PREFERENCE if IMA_PCR in pcrs.get(alg, {})), None)
    if pinned is None:
        raise ConfigError(f"PCR {IMA_PCR} of a bank is needed, found none in the PCR values given")
    verified: VerifiedIma = verify_ima(ima, pcrs, pinned=pinned)
    findings = verified.findings
    if not any(0 in values for values in pcrs.values()):
        findings = tuple(finding for finding in findings if finding.id != "ima.boot-aggregate")
    return ImaReport(list=ima, pinned=pinned, matched=verified.matched, findings=findings)
