"""Cases of the IMA list: replay, start, coverage, files, violations. Not a test."""

from collections.abc import Callable
from dataclasses import replace

from bartizan.app.defaults import default_policy
from bartizan.formats.ima import decode_ima
from bartizan.model.boot_log import EventType
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import ReportedEvidence
from bartizan.model.result import AttestationResult, Tier
from tests.simulator.machine import CHALLENGE, Machine, attested, digests, file_line, good, judged, measured, quoting
from tests.unit.appraise_cases import ANYTHING, Case, Cases, of
from tests.unit.ima_lists import Line, d_ng, ng, sha1

COMMAND_LINE = 42
LABEL = b"kernel_cmdline: "
CUT, BASH = b"/usr/bin/cut", b"/usr/bin/bash"
NEXT = len(good().lines) + 1
"""The index of the first entry behind the recorded ones."""
CUT_ENTRY = next(index for index, line in enumerate(good().lines, 1) if line.values[1] == CUT + b"\0")
KNOWN_DIGEST = good().lines[5].values[0]
UNKNOWN = file_line(b"/root/tool", b"unknown")
START = Line("ima-ng", (d_ng(bytes(32)), b"boot_aggregate\0"), b"")


def booted_with(text: bytes) -> Machine:
    """The machine with another kernel command line."""
    return good().with_event(COMMAND_LINE, data=LABEL + text, digests=digests(text))


def covered(text: bytes) -> Case:
    """A command line that proves coverage; it is not the known one."""
    return Case(
        check="ima.coverage",
        tier=Tier.AFFIRMING,
        level=2,
        at=(8, COMMAND_LINE, None),
        says="selects ima_policy=tcb",
        result=of(booted_with(text)),
        also=frozenset({"recognised.command-line"}),
    )


def uncovered(text: bytes) -> Case:
    """A command line that does not."""
    return Case(
        check="ima.coverage",
        tier=Tier.WARNING,
        level=2,
        at=(8, COMMAND_LINE, None),
        says="no policy on the measured",
        result=of(booted_with(text)),
        also=frozenset({"recognised.command-line", "ima.blind-spots"}),
    )


def sent(
    change: Callable[[ReportedEvidence], ReportedEvidence], machine: Machine | None = None
) -> Callable[[], AttestationResult]:
    """A machine's evidence, changed on its way."""
    return lambda: attested(change((machine or good()).evidence())).result


def listed(machine: Machine) -> Callable[[ReportedEvidence], ReportedEvidence]:
    """The IMA list of another machine in its place."""
    return lambda evidence: replace(evidence, ima=decode_ima(machine.list_bytes()))


def edited_column(evidence: ReportedEvidence) -> ReportedEvidence:
    """The list's own digest of one entry is another; what is replayed stays."""
    raw = bytearray(good().list_bytes())
    raw[4] ^= 1
    return replace(evidence, ima=decode_ima(bytes(raw)))


def hardened() -> AttestationResult:
    policy = replace(default_policy(), unknown_file=Tier.CONTRAINDICATED)
    return judged(good().running(UNKNOWN), policy=policy)


MORE = good().running(UNKNOWN)
MODULE = file_line(b"/lib/modules/evil.ko.xz", b"unknown")
ELSEWHERE = Line("ima-ng", (KNOWN_DIGEST, b"/opt/copy\0"), b"")
OTHER_ALG = file_line(CUT, b"any", label=b"sha512")
IN_PCR_11 = replace(ELSEWHERE, pcr=11)
BUFFER = Line("ima-unknown", (b"x",), b"")


def replaced_cut(digest: bytes) -> AttestationResult:
    """A machine that measured another file as /usr/bin/cut."""
    value = digest if digest == KNOWN_DIGEST else d_ng(sha1(digest) + bytes(12))
    line = Line("ima-ng", (value, CUT + b"\0"), b"")
    lines = (*good().lines[: CUT_ENTRY - 1], line, *good().lines[CUT_ENTRY:])
    return judged(replace(good(), lines=lines))


def other_bank() -> AttestationResult:
    """A machine whose sha384 bank was extended by something else as well."""
    evidence = good().evidence()
    pcrs = evidence.untrusted_pcrs
    odd = {**pcrs[HashAlg.SHA384], 10: HashAlg.SHA384.digest(b"x")}
    return attested(quoting(evidence, {**pcrs, HashAlg.SHA384: odd})).result


def in_sha512() -> AttestationResult:
    """A machine of which a bank is asked for that has no PCR 10."""
    pcrs = {HashAlg.SHA512: {pcr: bytes(64) for pcr in range(10)}}
    challenge = replace(CHALLENGE, selection={HashAlg.SHA512: frozenset(range(10))}, pinned=HashAlg.SHA512)
    return attested(quoting(good().evidence(), pcrs), challenge=challenge).result


CASES: Cases = {
    "no IMA list": Case(
        check="ima.list-present",
        tier=Tier.NONE,
        level=3,
        at=(10, None, None),
        also=ANYTHING,
        says="no IMA list came",
        result=sent(lambda evidence: replace(evidence, ima=None)),
    ),
    "a list with one entry left out": Case(
        check="ima.replays",
        tier=Tier.CONTRAINDICATED,
        level=3,
        at=(10, None, None),
        also=ANYTHING,
        says="entries were removed",
        result=sent(listed(replace(good(), lines=good().lines[:-2] + good().lines[-1:]))),
    ),
    "a list of another machine": Case(
        check="ima.boot-aggregate",
        tier=Tier.CONTRAINDICATED,
        level=3,
        at=(None, 0, "boot_aggregate"),
        also=ANYTHING,
        says="the list is of another boot",
        result=sent(listed(good().without_event(0))),
    ),
    "no bank in which PCR 10 could be held against the list": Case(
        check="ima.replays",
        tier=Tier.NONE,
        level=1,
        at=(10, None, None),
        also=ANYTHING,
        says="no PCR 10 of the sha512 bank",
        result=in_sha512,
    ),
    "a list that is ahead of the quote": Case(
        check="ima.pending",
        tier=Tier.AFFIRMING,
        level=4,
        at=(10, NEXT, None),
        says="1 entries were added after the quote",
        result=sent(listed(MORE)),
    ),
    "a list whose own column was edited": Case(
        check="ima.template-digest",
        tier=Tier.CONTRAINDICATED,
        level=3,
        at=(10, 0, "boot_aggregate"),
        says="not the hash of this entry's data",
        result=sent(edited_column),
    ),
    "an entry of a template that nobody knows": Case(
        check="ima.list-form",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(10, NEXT, ""),
        says="holds no file digest",
        result=of(good().running(BUFFER)),
        also=frozenset({"ima.known-files", "ima.kexec"}),
    ),
    "entries in another PCR that replay": Case(
        check="ima.other-pcr",
        tier=Tier.AFFIRMING,
        level=1,
        at=(11, None, None),
        says="the entries for PCR 11 replay to it",
        result=of(good().running(IN_PCR_11)),
        also=ANYTHING,
    ),
    "entries in a PCR that software can reset": Case(
        check="ima.other-pcr",
        tier=Tier.WARNING,
        level=3,
        at=(16, None, None),
        says="nothing vouches for the entries for PCR 16",
        result=of(good().running(replace(ELSEWHERE, pcr=16))),
    ),
    "a kernel that pads SHA-1": Case(
        check="ima.strength",
        tier=Tier.WARNING,
        level=4,
        at=(10, None, None),
        says="SHA-1 strength",
        result=of(replace(good(), padded=frozenset({HashAlg.SHA256, HashAlg.SHA384}))),
    ),
    "a bank that does not hold the list": Case(
        check="ima.other-bank",
        tier=Tier.WARNING,
        level=4,
        at=(10, None, None),
        says="PCR 10 of the sha384 bank is not what",
        result=other_bank,
    ),
    "a list that starts without a TPM": Case(
        check="ima.boot-aggregate",
        tier=Tier.WARNING,
        level=3,
        at=(None, 0, "boot_aggregate"),
        says="had no TPM",
        result=of(replace(good(), starts=0, lines=(START, *good().lines))),
    ),
    "a second kernel, started by kexec": Case(
        check="ima.kexec",
        tier=Tier.WARNING,
        level=1,
        at=(None, 1, "boot_aggregate"),
        says="another boot_aggregate",
        result=of(replace(good(), starts=2)),
    ),
    "a list whose start was lost": Case(
        check="ima.kexec",
        tier=Tier.WARNING,
        level=1,
        at=(None, 0, None),
        says="does not start with boot_aggregate",
        result=of(replace(good(), starts=0)),
        also=frozenset({"ima.boot-aggregate"}),
    ),
    "ima_tcb": covered(b"/vmlinuz ima_tcb"),
    "ima_policy=tcb": covered(b"ima_policy=tcb"),
    "several policies": covered(b'/vmlinuz ima_policy="tcb|critical_data" quiet'),
    "several policies with a blank between": covered(b'/vmlinuz ima_policy="critical_data tcb"'),
    "two parameters": covered(b"ima_policy=critical_data ima_policy=tcb"),
    "no policy": uncovered(b"/vmlinuz quiet"),
    "another policy": uncovered(b"/vmlinuz ima_policy=critical_data"),
    "a policy that begins like the right one": uncovered(b"/vmlinuz ima_policy=tcb2"),
    "a policy of init's": uncovered(b"/vmlinuz -- ima_policy=tcb"),
    "a policy of init's behind quotes": uncovered(b'/vmlinuz "--" ima_policy=tcb'),
    "a policy in a word of another": uncovered(b"/vmlinuz xima_policy=tcb"),
    "a policy inside quotes": uncovered(b'/vmlinuz dyndbg="file a ima_policy=tcb +p" quiet'),
    "a policy behind quotes that never end": uncovered(b'/vmlinuz a="b ima_policy=tcb'),
    "quotes inside the value": uncovered(b'/vmlinuz ima_policy=t"c"b'),
    "a blank that is none to the kernel": uncovered("/vmlinuz x\u2003ima_policy=tcb".encode()),
    "an end that only the kernel sees": uncovered(b"/vmlinuz x\xa0-- ima_policy=tcb"),
    "no command line": Case(
        check="ima.coverage",
        tier=Tier.WARNING,
        level=3,
        at=(8, None, None),
        says="no verified event holds the kernel command line",
        result=of(good().without_event(COMMAND_LINE)),
        also=frozenset({"ima.blind-spots"}),
    ),
    "a second command line without a policy": Case(
        check="ima.coverage",
        tier=Tier.WARNING,
        level=2,
        at=(8, COMMAND_LINE, None),
        says="no policy on the measured",
        result=of(good().inserted(COMMAND_LINE + 1, measured(8, EventType.IPL, LABEL + b"quiet", of=b"quiet"))),
        also=frozenset({"recognised.command-line", "ima.blind-spots"}),
    ),
    "a policy with blind spots": Case(
        check="ima.blind-spots",
        tier=Tier.WARNING,
        level=4,
        at=(8, COMMAND_LINE, None),
        says="tmpfs and the initramfs",
        result=of(good()),
    ),
    "an unknown file": Case(
        check="ima.known-files",
        tier=Tier.WARNING,
        level=3,
        at=(10, NEXT, "/root/tool"),
        says="/root/tool is not a known file",
        result=of(MORE),
    ),
    "an unknown file under a hardened policy": Case(
        check="ima.known-files",
        tier=Tier.CONTRAINDICATED,
        level=3,
        at=(10, NEXT, "/root/tool"),
        says="is not a known file",
        result=hardened,
    ),
    "an unknown kernel module": Case(
        check="ima.known-files",
        tier=Tier.WARNING,
        level=3,
        at=(10, NEXT, "/lib/modules/evil.ko.xz"),
        says="(a kernel module, whose signature cannot be proved from ima-ng)",
        result=of(good().running(MODULE)),
    ),
    "a known path under an unknown digest": Case(
        check="ima.known-files",
        tier=Tier.CONTRAINDICATED,
        level=3,
        at=(10, CUT_ENTRY, "/usr/bin/cut"),
        says="known under another digest",
        result=lambda: replaced_cut(b"unknown"),
    ),
    "a known path under another file's digest": Case(
        check="ima.known-files",
        tier=Tier.CONTRAINDICATED,
        level=3,
        at=(10, CUT_ENTRY, "/usr/bin/cut"),
        says="known under another digest",
        result=lambda: replaced_cut(KNOWN_DIGEST),
    ),
    "a known path under another hash algorithm": Case(
        check="ima.known-files",
        tier=Tier.WARNING,
        level=3,
        at=(10, NEXT, "/usr/bin/cut"),
        also=frozenset({"ima.changed-file"}),
        says="by its sha512 digest: only sha256 can be compared",
        result=of(good().running(OTHER_ALG)),
    ),
    "an unknown path under a known digest": Case(
        check="ima.known-files",
        tier=Tier.AFFIRMING,
        level=4,
        at=(10, None, None),
        says="all 110 measured files are known",
        result=of(good().running(ELSEWHERE)),
    ),
    "a file that is called boot_aggregate but is measured elsewhere": Case(
        check="ima.known-files",
        tier=Tier.WARNING,
        level=3,
        at=(16, NEXT, "boot_aggregate"),
        says="is not a known file",
        result=of(good().running(replace(file_line(b"boot_aggregate", b"x"), pcr=16))),
        also=frozenset({"ima.other-pcr"}),
    ),
    "a file that changed while it ran": Case(
        check="ima.changed-file",
        tier=Tier.WARNING,
        level=3,
        count=2,
        at=(10, NEXT, "/root/tool"),
        says=f"entries {NEXT} and {NEXT + 1}",
        result=of(good().running(UNKNOWN, file_line(b"/root/tool", b"other"))),
        also=frozenset({"ima.known-files"}),
    ),
    "a violation": Case(
        check="ima.violations",
        tier=Tier.WARNING,
        level=3,
        at=(10, NEXT, "/var/log/x"),
        says="could not vouch for /var/log/x",
        result=of(good().running(ng(b"/var/log/x", violation=True))),
    ),
}
