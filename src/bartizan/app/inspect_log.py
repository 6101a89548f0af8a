"""`bartizan log`: one boot log by itself, and against PCR values if there are any."""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.errors import ConfigError
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import BootLog, LogFormat
from bartizan.model.digest import SIZES, HashAlg, PcrBanks, PcrValues
from bartizan.model.result import Finding, Tier, worst
from bartizan.verify.boot import verify_boot
from bartizan.verify.log_rules import check_log
from bartizan.verify.replay import replay

PREFERENCE = (HashAlg.SHA256, HashAlg.SHA384, HashAlg.SHA512, HashAlg.SM3_256, HashAlg.SHA1)
"""Which bank decides when nobody has pinned one: SHA-256 as the design pins it, then the stronger, SHA-1 last."""


LAUNCH_LOG_PCRS = frozenset({17, 18, 19})
"""What a dynamic launch itself measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """What a log says, what its replay leads to, and whether that is what the TPM holds."""

    log: BootLog
    pinned: HashAlg
    banks: Mapping[HashAlg, PcrValues]
    matches: Mapping[HashAlg, Mapping[int, bool]]
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Tier:
        """The worst tier of all findings."""
        return worst([finding.tier for finding in self.findings])

    @property
    def good(self) -> bool:
        """Not contraindicated, and every PCR that was given matches."""
        all_match = all(match for bank in self.matches.values() for match in bank.values())
        return all_match and self.status is not Tier.CONTRAINDICATED


def inspect_log(raw: bytes, pcrs: PcrBanks | None) -> LogReport:
    """Decode, replay and check a boot log.

    Raises:
        DecodeError: the bytes are no boot log. ConfigError: log and PCR values have no bank in common.
    """
    log = decode_boot_log(raw)
    computed = [HashAlg(alg) for alg in log.algorithms if alg in SIZES]
    banks = {alg: replay(log, alg) for alg in computed}
    if pcrs is None:
        pinned = _preferred(computed, found=f"{len(log.algorithms)} others")
        return LogReport(log=log, pinned=pinned, banks=banks, matches={}, findings=check_log(log, pinned))
    pinned = _preferred([alg for alg in computed if alg in pcrs], found=_names(pcrs) + " in the PCR file")
    comparable = _comparable(log, {bank: values for bank, values in pcrs.items() if bank in computed})
    boot = verify_boot(log, comparable, pinned=pinned)
    matches: dict[HashAlg, dict[int, bool]] = {bank: {} for bank in comparable}
    for explanation in boot.explanations:
        matches[explanation.bank][explanation.pcr] = explanation.explained
    return LogReport(log=log, pinned=pinned, banks=banks, matches=matches, findings=boot.findings)


def _comparable(log: BootLog, pcrs: PcrBanks) -> PcrBanks:
    """The PCRs that a log of this kind speaks about.

    A launch's own log knows nothing of the boot before it, nor of PCR 20–22, which the launched system uses itself.
    """
    if log.format is not LogFormat.TXT:
        return pcrs
    spoken = LAUNCH_LOG_PCRS | {event.pcr for event in log.events}
    return {bank: {pcr: v for pcr, v in values.items() if pcr in spoken} for bank, values in pcrs.items()}


def _names(pcrs: PcrBanks) -> str:
    return ", ".join(bank.label for bank in pcrs)


def _preferred(banks: list[HashAlg], *, found: str) -> HashAlg:
    for alg in PREFERENCE:
        if alg in banks:
            return alg
    if banks:
        return banks[0]
    raise ConfigError(f"a bank that the log holds and Bartizan computes is needed, found {found}")
