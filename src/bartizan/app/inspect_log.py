"""`bartizan log`: one boot log by itself, and against PCR values or the registers of a quote if there are any."""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.errors import ConfigError
from bartizan.formats.log_file import decode_log_file
from bartizan.formats.tdx import decode_tdx_quote
from bartizan.model.boot_log import BootLog, LogFormat
from bartizan.model.digest import SIZES, HashAlg, PcrBanks, PcrValues
from bartizan.model.result import Finding, Tier, worst
from bartizan.model.tdx import TdxQuote
from bartizan.verify.boot import verify_boot
from bartizan.verify.cc_log import REGISTERS, check_quote, check_registers, compare_registers
from bartizan.verify.ima_replay import computable
from bartizan.verify.log_rules import check_log
from bartizan.verify.replay import replay

PREFERENCE = (HashAlg.SHA256, HashAlg.SHA384, HashAlg.SHA512, HashAlg.SM3_256, HashAlg.SHA1)
"""Which bank decides when nobody has pinned one: SHA-256 as the design pins it, then the stronger, SHA-1 last."""
LAUNCH_LOG_PCRS = frozenset({17, 18, 19})
"""What a dynamic launch itself measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """What a log says, what its replay leads to, and whether that is what the TPM or the quote holds."""

    log: BootLog
    pinned: HashAlg
    banks: Mapping[HashAlg, PcrValues]
    matches: Mapping[HashAlg, Mapping[int, bool]]
    findings: tuple[Finding, ...]
    quote: TdxQuote | None = None

    @property
    def status(self) -> Tier:
        """The worst tier of all findings."""
        return worst([finding.tier for finding in self.findings])

    @property
    def good(self) -> bool:
        """Not contraindicated, and every PCR or register that was given matches."""
        all_match = all(match for bank in self.matches.values() for match in bank.values())
        return all_match and self.status is not Tier.CONTRAINDICATED


def inspect_log(raw: bytes, pcrs: PcrBanks | None, *, tdx_quote: bytes | None = None) -> LogReport:
    """Decode, replay and check a boot log; `tdx_quote` gives the registers of a confidential machine's.

    Raises:
        DecodeError: the bytes are no boot log or no quote. ConfigError: log and values have no bank in common.
    """
    if pcrs is not None and tdx_quote is not None:
        raise ConfigError("--pcrs and --tdx-quote exclude each other: a log is held against one of them")
    log = decode_log_file(raw)
    known = (HashAlg(alg) for alg in log.algorithms if alg in SIZES)
    banks = {alg: replay(log, alg) for alg in known if computable(alg)}
    if tdx_quote is not None:
        return _against_quote(log, banks, decode_tdx_quote(tdx_quote))
    if pcrs is None:
        pinned = _preferred(list(banks), found=f"{len(log.algorithms)} others")
        findings = check_log(log, pinned) + check_registers(log, pinned)
        return LogReport(log=log, pinned=pinned, banks=banks, matches={}, findings=findings)
    pinned = _preferred([alg for alg in banks if alg in pcrs], found=_names(pcrs) + " in the PCR file")
    if log.format is LogFormat.CCEL and REGISTERS.issuperset(pcrs[pinned]):
        return _against_registers(log, banks, pcrs[pinned], pinned=pinned)
    return _against_pcrs(log, banks, pcrs, pinned=pinned)


def _against_pcrs(log: BootLog, banks: Mapping[HashAlg, PcrValues], pcrs: PcrBanks, *, pinned: HashAlg) -> LogReport:
    comparable = _comparable(log, {bank: values for bank, values in pcrs.items() if bank in banks})
    boot = verify_boot(log, comparable, pinned=pinned)
    matches: dict[HashAlg, dict[int, bool]] = {bank: {} for bank in comparable}
    for explanation in boot.explanations:
        matches[explanation.bank][explanation.pcr] = explanation.explained
    return LogReport(log=log, pinned=pinned, banks=banks, matches=matches, findings=boot.findings)


def _against_registers(
    log: BootLog,
    banks: Mapping[HashAlg, PcrValues],
    values: PcrValues,
    *,
    pinned: HashAlg,
    quote: TdxQuote | None = None,
) -> LogReport:
    compared = compare_registers(log, values, pinned)
    said = check_quote(quote) if quote is not None else ()
    return LogReport(
        log=log,
        pinned=pinned,
        banks=banks,
        matches={pinned: compared.matches},
        findings=check_log(log, pinned) + check_registers(log, pinned) + compared.findings + said,
        quote=quote,
    )


def _against_quote(log: BootLog, banks: Mapping[HashAlg, PcrValues], quote: TdxQuote) -> LogReport:
    if log.format is not LogFormat.CCEL or HashAlg.SHA384 not in banks:
        raise ConfigError(
            f"--tdx-quote needs the SHA-384 log of a confidential machine (CCEL), found a {log.format.value} log"
        )
    return _against_registers(log, banks, quote.report.registers, pinned=HashAlg.SHA384, quote=quote)


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
