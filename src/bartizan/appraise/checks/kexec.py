"""A kernel started from the running one (kexec): recognised, or what keeps it from being so.

IMA alone measures what a kexec starts, and root can extend PCR 10 with whatever it likes. So entries prove a kexec only
where no other kexec was possible: whatever root adds to them then, the true ones stand among them. For each later
boot_aggregate, looking at the entries since the one before it, all of which PCR 10 vouches for:
(1) the boot's own kernel, initramfs and command line are recognised, and there was an initramfs;
(2) the kernel denies kexec_load(2), which nothing measures: Secure Boot was enforced (the kernels of distributions lock
    themselves down then), or every command line that it may have has `lockdown=`;
(3) an IMA policy that the appraisal policy names was measured, before the first command line: once loaded it measures
    every kernel, initramfs and command line, and cannot be taken back. That the recognised initramfs had loaded it is
    the word of whoever names it: no place in the list tells a file that was loaded from one that was read;
(4) command lines were measured, and each is that of a known boot: any of them may be the one that was started;
(5) a kernel and an initramfs of known boots are among the entries, and every entry is known, none a violation: they do
    not say which was loaded;
(6) boot_aggregate is the hash over this boot's PCRs.
It does not show that what was measured was started: IMA measures a file once until somebody writes to it through its
file system, so not again when a mounted image changes below it, and a kernel can be started without any initramfs.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from bartizan.appraise.checks.ima import judged_file, shown
from bartizan.appraise.checks.recognised import KERNEL_PARTS, parts
from bartizan.appraise.checks.signer import INITRD_COMMANDS, KERNEL_COMMANDS
from bartizan.appraise.command_lines import booted_with, is_known_line, locks_down, measures_all
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.appraise.kexec_rule import measured_rules
from bartizan.appraise.measured import covered_columns, look_up
from bartizan.formats.inert import inert
from bartizan.model.boot_log import FILE_PCR
from bartizan.model.digest import HashAlg
from bartizan.model.ima import IMA_PCR, ImaColumns, ImaEntry
from bartizan.model.ima_buffer import KexecCommandLine, KexecStart, MeasuredBuffer
from bartizan.model.policy import KexecRule
from bartizan.model.reference import ReferenceSet
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.verify.ima_buffers import buffer_facts
from bartizan.verify.ima_start import BOOT_AGGREGATE, MAX_POINTED, compare_aggregate

CHECK = "ima.kexec"
NEEDED = KERNEL_PARTS | {"recognised.loader"}
COMMAND, FILE = "grub_cmd: ", "file: "
"""How Reference Values name what GRUB did, and what it loaded."""
TWICE = 2
MAX_SHOWN = 300
"""Characters of a command line in a sentence."""
LIMIT = (
    "; not proved is that the recognised initramfs had loaded that policy, that root changed none of these files below"
    " a mounted image since, and that the kernel got an initramfs at all"
)
MAX_KEXECS = MAX_POINTED
"""Verification names so many; of more none is recognised, and every one that is named keeps the level down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Why a kexec is not recognised, and the entry that shows it, if one does."""

    why: str
    entry: ImaEntry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kexec:
    """One later start with what was measured since the one before it. lines: of the kernel that ran meanwhile."""

    start: KexecStart
    columns: ImaColumns
    aggregate: ImaEntry
    lines: Sequence[str]


def restated(context: Context, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings of verification, with what is recognised said of each kernel that was started by kexec."""
    kexecs = list(_kexecs(context))
    judged = {kexec.start.boot_aggregate: _judged(context, kexec) for kexec in kexecs if len(kexecs) <= MAX_KEXECS}
    for finding in findings:
        entry = finding.at.entry if finding.id == CHECK else None
        if entry not in judged:
            yield finding
            continue
        tier, why, at = judged[entry]
        yield replace(finding, tier=tier, why=f"{finding.why}{why}", at=at or finding.at)


def coverage(context: Context) -> Iterator[Finding]:
    """ima.coverage: the kernels started by kexec measure what they execute, too."""
    for kexec in islice(_kexecs(context), MAX_KEXECS):
        unproved = next((load for load in kexec.start.loads if not measures_all(_text(load))), None)
        if unproved is not None:
            why = "IMA coverage is not proven since a kexec: no policy on the command line that was measured for it"
            yield context.say("ima.coverage", Tier.WARNING, why, Pointer(pcr=IMA_PCR, entry=unproved.entry))


def _kexecs(context: Context) -> Iterator[Kexec]:
    ima, columns = context.evidence.ima, covered_columns(context.evidence.ima)
    if ima is None or columns.paths.count(BOOT_AGGREGATE) < TWICE:
        return
    lines = [line.text for line in booted_with(context)]
    for start in buffer_facts(ima).kexec_starts:
        between = columns[start.since + 1 : start.boot_aggregate]
        yield Kexec(start=start, columns=between, aggregate=columns[start.boot_aggregate], lines=lines)
        lines = [_text(load) for load in start.loads]


def _text(load: MeasuredBuffer) -> str:
    """A command line; nothing where it cannot be read."""
    return load.buffer.text if isinstance(load.buffer, KexecCommandLine) else ""


def _judged(context: Context, kexec: Kexec) -> tuple[Tier, str, Pointer | None]:
    """Tier, how the sentence goes on, and where to look if not at the start itself."""
    flaw = _flaw(context, kexec)
    if flaw is not None:
        at = None if flaw.entry is None else _at(flaw.entry)
        return Tier.WARNING, f"; it is not recognised: {flaw.why}", at
    return Tier.AFFIRMING, f", and is recognised: {_told(context, kexec)}{LIMIT}", None


def _flaw(context: Context, kexec: Kexec) -> Flaw | None:
    """The first thing that keeps a kexec from being recognised."""
    if not context.policy.kexec:
        return Flaw(why="the policy names no IMA policy under which every kexec is measured")
    if context.reference is None:
        return Flaw(why="no Reference Values were given")
    return (
        _of_pcr(kexec)
        or _of_boot(context, context.reference)
        or _of_lockdown(context, kexec)
        or _of_rule(context, kexec)
        or _of_lines(context, kexec)
        or _of_files(context, context.reference, kexec)
        or _of_start(context, kexec)
    )


def _of_pcr(kexec: Kexec) -> Flaw | None:
    """Whether PCR 10 vouches for every entry: software can reset others, and what they hold then is no proof."""
    place = next((place for place, pcr in enumerate(kexec.columns.pcrs) if pcr != IMA_PCR), None)
    if place is None:
        return None
    entry = kexec.columns[place]
    return Flaw(why=f"{shown(entry.path)}, measured before it, is of PCR {entry.pcr}, not {IMA_PCR}", entry=entry)


def _of_boot(context: Context, reference: ReferenceIndex) -> Flaw | None:
    """(1) What the firmware started."""
    said = [finding for finding in parts(context) if finding.id in NEEDED]
    bad = next((finding for finding in said if finding.tier is not Tier.AFFIRMING), None)
    if bad is not None:
        return Flaw(why=f"of the boot, {bad.why}")
    if not said:
        return Flaw(why="no log tells what the firmware started")
    loaded = {(context.bank.label, event.digests[context.bank]) for event in context.measured(FILE_PCR)}
    if loaded.isdisjoint(_images(reference)["initramfs"]):
        return Flaw(why="of the boot, no known initramfs was measured, which would have loaded the IMA policy")
    return None


def _of_lockdown(context: Context, kexec: Kexec) -> Flaw | None:
    """(2) What else could be started."""
    facts = context.evidence.boot.facts
    enforced = facts.secure_boot is True and not facts.shim_validation_off
    if enforced or (kexec.lines and all(map(locks_down, kexec.lines))):
        return None
    return Flaw(
        why="nothing kept root from replacing what was measured (kexec_load): Secure Boot was not enforced,"
        " and lockdown= is not on the measured command line"
    )


def _rule(context: Context, kexec: Kexec) -> tuple[KexecRule, int] | None:
    """The first named IMA policy that was measured, and its place."""
    wanted = measured_rules(context.policy, set(kexec.columns.digest_algs))
    place = _first(kexec.columns, wanted.keys())
    return None if place is None else (wanted[_measured(kexec.columns, place)], place)


def _of_rule(context: Context, kexec: Kexec) -> Flaw | None:
    """(3) What measured it."""
    found, loads = _rule(context, kexec), kexec.start.loads
    if found is None:
        return Flaw(why="no IMA policy that the policy names was measured before it: it may have gone unmeasured")
    entry = kexec.columns[found[1]]
    if loads and entry.index > loads[0].entry:
        return Flaw(why="a kernel was loaded before the IMA policy that measures it", entry=entry)
    return None


def _of_lines(context: Context, kexec: Kexec) -> Flaw | None:
    """(4) With which command line."""
    for load in kexec.start.loads:
        entry = kexec.columns[load.entry - kexec.columns.first]
        if not isinstance(load.buffer, KexecCommandLine):
            return Flaw(why="the command line that was measured for it cannot be read", entry=entry)
        if not is_known_line(context, load.buffer.text):
            said = inert(load.buffer.text, limit=MAX_SHOWN)
            return Flaw(why=f"the command line is that of no known boot: {said}", entry=entry)
    return None if kexec.start.loads else Flaw(why="no command line was measured for it")


def _of_files(context: Context, reference: ReferenceIndex, kexec: Kexec) -> Flaw | None:
    """(5) Which kernel and initramfs."""
    for entry in look_up(kexec.columns, reference).strangers:
        if judged_file(context, reference, entry) is not None:
            why = f"{shown(entry.path)}, measured before it, is not known, and may be what was started"
            return Flaw(why=why, entry=entry)
    for place in kexec.columns.violations[:1]:
        entry = kexec.columns[place]
        return Flaw(
            why=f"the kernel could not vouch for {shown(entry.path)}, which may be what was started", entry=entry
        )
    missing = [name for name, digests in _images(reference).items() if _first(kexec.columns, digests) is None]
    return Flaw(why=f"no {missing[0]} of a known boot was measured before it") if missing else None


def _of_start(context: Context, kexec: Kexec) -> Flaw | None:
    """(6) Whether it started in this boot."""
    matches, _, why = compare_aggregate(kexec.aggregate, context.evidence.quote.pcrs)
    return None if matches else Flaw(why=why, entry=kexec.aggregate)


def _told(context: Context, kexec: Kexec) -> str:
    """Which kernel, initramfs and command line were recognised, and by what nothing else can have been started."""
    known = {} if context.reference is None else _images(context.reference)
    said = [
        f"{name} {shown(kexec.columns.paths[place])} (entry {kexec.columns.first + place})"
        for name, digests in known.items()
        if (place := _first(kexec.columns, digests)) is not None
    ]
    said += [f"command line {inert(_text(load), limit=MAX_SHOWN)} (entry {load.entry})" for load in kexec.start.loads]
    rule = _rule(context, kexec)
    said += [] if rule is None else [f"under the IMA policy {rule[0].name!a} (entry {kexec.columns.first + rule[1]})"]
    return ", ".join(said)


def _images(reference: ReferenceIndex) -> dict[str, frozenset[tuple[str, bytes]]]:
    """The kernels and initramfs that GRUB loaded in known boots, as IMA would name them."""
    found: dict[str, set[tuple[str, bytes]]] = {"kernel": set(), "initramfs": set()}
    for some in reference.sets:
        loaded = {f"{FILE}{path}": name for name, path in _loads(some)}
        for event in some.events:
            name = loaded.get(event.label)
            if event.pcr == FILE_PCR and name is not None:
                found[name] |= {(HashAlg(alg).label, digest) for alg, digest in event.digests.items()}
    return {name: frozenset(digests) for name, digests in found.items()}


def _loads(some: ReferenceSet) -> Iterator[tuple[str, str]]:
    """The files that a boot's GRUB loaded, and as what."""
    for event in some.events:
        command, words = event.label.removeprefix(COMMAND), event.label.removeprefix(COMMAND).split()[1:]
        if command.startswith(KERNEL_COMMANDS):
            yield from (("kernel", path) for path in words[:1])
        elif command.startswith(INITRD_COMMANDS):
            yield from (("initramfs", path) for path in words)


def _first(columns: ImaColumns, wanted: Container[tuple[str, bytes]]) -> int | None:
    """The first place of a file with one of these digests."""
    places = (place for place in range(len(columns)) if not columns.payloads[place])
    return next((place for place in places if _measured(columns, place) in wanted), None)


def _measured(columns: ImaColumns, place: int) -> tuple[str, bytes]:
    return columns.digest_algs[place], columns.digests[place]


def _at(entry: ImaEntry) -> Pointer:
    return Pointer(pcr=entry.pcr, entry=entry.index, path=shown(entry.path))
