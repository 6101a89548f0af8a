"""A recorded boot that goes on: one machine attested again and again, its quotes signed by a key of ours.

What its TPM holds after so many IMA entries is computed here by the kernel's rules, not by the product's replay.
"""

from dataclasses import dataclass, replace
from functools import cache

from bartizan.app.attest_again import ReportedAgain
from bartizan.formats.ima import decode_ima, encode_binary
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_attest, decode_signature
from bartizan.model.boot_log import BootLog
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import ReportedEvidence, ReportedQuote
from bartizan.model.ima import ImaEntry
from tests.simulator.machine import AK, IDENTITY, NONCE, SIGNER
from tests.simulator.quotes import quote_of
from tests.simulator.tpm_identity import EK, under
from tests.unit.ima_lists import VECTORS, Line, boot

PADDED = HashAlg.SHA384
"""The bank that the recorded kernels extend with padded SHA-1 digests."""
CLOCK = 60_000


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One IMA entry: its bytes in the list, and what it extends each bank with."""

    raw: bytes
    data: bytes | None
    pcr: int = 10

    def digest(self, bank: HashAlg) -> bytes:
        """All ones for a violation."""
        if self.data is None:
            return b"\xff" * bank.size
        return (HashAlg.SHA1 if bank is PADDED else bank).digest(self.data).ljust(bank.size, b"\0")


def of_line(line: Line) -> Measured:
    return Measured(raw=line.binary(), data=None if line.violation else line.data, pcr=line.pcr)


def _of_entry(entry: ImaEntry) -> Measured:
    assert entry.template_data is not None
    shape = decode_ima(boot("good")[0])
    raw = encode_binary(replace(shape, entries=(entry,)))
    return Measured(raw=raw, data=None if entry.is_violation else entry.template_data, pcr=entry.pcr)


@dataclass(frozen=True, kw_only=True)
class LiveBoot:
    """A boot with a list that grows; `static` are the PCRs but 10.

    begins: how many entries stand before the list that the running kernel shows, after a kexec that carried none on.
    """

    log: BootLog | None
    static: PcrBanks
    entries: tuple[Measured, ...]
    resets: int = 7
    restarts: int = 0
    begins: int = 0

    def kexec(self, *, carried: bool = False) -> "LiveBoot":
        """Another kernel runs, and has measured that it starts."""
        begins = self.begins if carried else len(self.entries)
        return replace(self, entries=(*self.entries, self.entries[0]), begins=begins)

    def running(self, *lines: Line) -> "LiveBoot":
        """The boot with more files measured."""
        return replace(self, entries=(*self.entries, *map(of_line, lines)))

    def pcrs(self, count: int) -> PcrBanks:
        """What the TPM holds after so many entries."""
        values = {bank: dict(some) for bank, some in self.static.items()}
        for bank, some in values.items():
            for entry in self.entries[:count]:
                some[entry.pcr] = bank.digest(some.get(entry.pcr, bytes(bank.size)) + entry.digest(bank))
        return values

    def quote(self, pcrs: PcrBanks, *, clock: int = CLOCK, signer: bytes = under(EK, AK)) -> ReportedQuote:
        """A quote of all these PCRs; signer: the AK's qualified name."""
        made = quote_of(pcrs, signer=signer, extra=NONCE)
        attest = replace(made, clock=clock, reset_count=self.resets, restart_count=self.restarts).encode()
        return ReportedQuote(attest=decode_attest(attest), signature=decode_signature(SIGNER.sign(attest).encode()))

    def list_bytes(self, start: int = 0, stop: int | None = None) -> bytes:
        """What the running kernel shows. start: as it counts; stop: of all that this boot has measured."""
        return b"".join(entry.raw for entry in self.entries[self.begins + start : stop])

    def full(self, count: int, *, ahead: int = 0, clock: int = CLOCK) -> ReportedEvidence:
        """Everything, quoted after `count` entries, with so many more in the list."""
        pcrs = self.pcrs(count)
        raw = self.list_bytes(0, count + ahead)
        return ReportedEvidence(
            identity=IDENTITY,
            quote=self.quote(pcrs, clock=clock),
            untrusted_pcrs=pcrs,
            boot_log=self.log,
            launch_log=None,
            ima=decode_ima(raw) if raw else None,
            posture=None,
        )

    def again(self, held: int, count: int, *, ahead: int = 0, clock: int = CLOCK) -> ReportedAgain:
        """What is new since the Verifier held so many entries."""
        pcrs = self.pcrs(count)
        return ReportedAgain(
            quote=self.quote(pcrs, clock=clock),
            untrusted_pcrs=pcrs,
            new_entries=self.list_bytes(held, count + ahead),
            first_entry=held,
        )


@cache
def live(name: str) -> LiveBoot:
    """A boot as it was recorded."""
    raw, pcrs = boot(name)
    log = VECTORS / "boots" / name / "bios_at_quote.bin"
    static = {bank: {pcr: value for pcr, value in some.items() if pcr != 10} for bank, some in pcrs.items()}
    return LiveBoot(
        log=decode_boot_log(log.read_bytes()) if log.is_file() else None,
        static={bank: {**some, 10: bytes(bank.size)} for bank, some in static.items()},
        entries=tuple(map(_of_entry, decode_ima(raw).entries)),
    )
