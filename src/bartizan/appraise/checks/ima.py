"""The IMA list: does it cover what runs, is every file known, was the kernel ever unable to vouch?"""

from collections.abc import Iterator

from bartizan.appraise.context import Context
from bartizan.formats.inert import inert
from bartizan.model.ima import ImaEntry
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.verify.ima import violation_kinds

MEASURING_POLICIES = frozenset({"tcb"})
"""Values of ima_policy= that measure every executed and mapped file and what root reads (kernel, ima_policy.c)."""
BLIND_SPOTS = (
    "tmpfs and the initramfs are outside the coverage of ima_policy=tcb: PCR 9 alone vouches for the initramfs"
)
AGGREGATE = b"boot_aggregate"
KERNEL_PARAMETERS_END = "--"
"""What follows belongs to init (Linux Documentation/admin-guide/kernel-parameters.rst)."""


def list_present(context: Context) -> Iterator[Finding]:
    """ima.list-present: whether an IMA list came with the evidence at all."""
    ima = context.evidence.ima
    if ima is None:
        why = "no IMA list came with the evidence: what ran after the boot is not known"
        yield context.say("ima.list-present", Tier.NONE, why, Pointer(pcr=10))
    else:
        yield context.say("ima.list-present", Tier.AFFIRMING, f"an IMA list with {len(ima.list.entries)} entries")


def _policies(command_line: str) -> frozenset[str]:
    """The built-in policies that a kernel command line selects."""
    chosen: set[str] = set()
    for word in command_line.split():
        if word == KERNEL_PARAMETERS_END:
            break
        if word == "ima_tcb":
            chosen.add("tcb")
        elif word.startswith("ima_policy="):
            chosen.update(word.removeprefix("ima_policy=").strip('"').split("|"))
    return frozenset(chosen)


def coverage(context: Context) -> Iterator[Finding]:
    """ima.coverage: the IMA policy stands on the measured command line, so what the list covers is proved."""
    if context.evidence.ima is None:
        return
    lines = context.evidence.boot.facts.command_lines
    covered = [line for line in lines if _policies(line.text) & MEASURING_POLICIES]
    if lines and len(covered) == len(lines):
        at = Pointer(pcr=covered[0].pcr, event=covered[0].event)
        why = "the measured command line selects ima_policy=tcb: executed, mapped and root-read files are measured"
        yield context.say("ima.coverage", Tier.AFFIRMING, why, at)
        yield context.say("ima.blind-spots", Tier.WARNING, BLIND_SPOTS, at)
        return
    entries = len(context.evidence.ima.list.entries)
    if lines:
        at = Pointer(pcr=lines[0].pcr, event=lines[0].event)
        why = f"IMA coverage is not proven: no policy on the measured command line ({entries} entries)"
        yield context.say("ima.coverage", Tier.WARNING, why, at)
    else:
        why = f"IMA coverage is not proven: no verified event holds the kernel command line ({entries} entries)"
        yield context.say("ima.coverage", Tier.WARNING, why, Pointer(pcr=8))


def _covered(context: Context) -> tuple[ImaEntry, ...]:
    """The entries that the quote covers, without violations and aggregates."""
    ima = context.evidence.ima
    if ima is None or ima.matched is None:
        return ()
    entries = ima.list.entries[: ima.matched]
    return tuple(entry for entry in entries if not entry.is_violation and entry.path != AGGREGATE)


def _at(entry: ImaEntry) -> Pointer:
    return Pointer(pcr=entry.pcr, entry=entry.index, path=shown(entry.path))


def shown(path: bytes) -> str:
    """A path from the list, harmless to show."""
    return inert(path.decode("utf-8", "surrogateescape"))


def known_files(context: Context) -> Iterator[Finding]:
    """ima.known-files: every file by its digest; a known path under another digest is contraindicated."""
    ima = context.evidence.ima
    if ima is None or ima.matched is None:
        return
    reference = context.reference
    if reference is None:
        why = f"no Reference Values were given: {ima.matched} entries are not compared with anything"
        yield context.say("ima.known-files", Tier.NONE, why, Pointer(pcr=10))
        return
    covered = _covered(context)
    unknown = 0
    for entry in covered:
        measured = (entry.digest_alg, entry.digest)
        if measured in reference.paths.get(entry.path, ()):
            continue
        if entry.path in reference.paths:
            unknown += 1
            why = f"{shown(entry.path)} is known under another digest: the file was replaced or changed"
            yield context.say("ima.known-files", Tier.CONTRAINDICATED, why, _at(entry))
        elif measured not in reference.digests:
            unknown += 1
            why = f"{shown(entry.path)} is not a known file{_module_note(entry)}"
            yield context.say("ima.known-files", context.policy.unknown_file, why, _at(entry))
    if not unknown:
        why = f"all {len(covered)} measured files are known"
        yield context.say("ima.known-files", Tier.AFFIRMING, why, Pointer(pcr=10))


def _module_note(entry: ImaEntry) -> str:
    if entry.path.endswith((b".ko", b".ko.xz", b".ko.zst", b".ko.gz")) and not entry.signature:
        return f" (a kernel module, whose signature cannot be proved from {entry.template})"
    return ""


def changed_files(context: Context) -> Iterator[Finding]:
    """ima.changed-file: a path measured again under a digest that is not known, said at both entries."""
    reference = context.reference
    first: dict[bytes, ImaEntry] = {}
    for entry in _covered(context):
        earlier = first.setdefault(entry.path, entry)
        if earlier.digest == entry.digest:
            continue
        known = reference is not None and (entry.digest_alg, entry.digest) in reference.paths.get(entry.path, ())
        if known:
            continue
        path = shown(entry.path)
        where = f"entries {earlier.index} and {entry.index}"
        why = f"{path} was measured twice in this boot, and the second digest is not recognised ({where})"
        yield context.say("ima.changed-file", Tier.WARNING, why, _at(earlier))
        yield context.say("ima.changed-file", Tier.WARNING, why, _at(entry))


def violations(context: Context) -> Iterator[Finding]:
    """ima.violations: files that the kernel could not vouch for, by kind and path."""
    ima = context.evidence.ima
    if ima is None or ima.matched is None:
        return
    found = [entry for entry in ima.list.entries[: ima.matched] if entry.is_violation]
    kinds = violation_kinds(ima.list)
    for entry in found:
        kind = kinds[entry.index]
        why = f"the kernel could not vouch for {shown(entry.path)}: {kind.value}"
        yield context.say("ima.violations", Tier.WARNING, why, _at(entry))
    if not found:
        why = "no violation: the kernel vouches for every measurement"
        yield context.say("ima.violations", Tier.AFFIRMING, why, Pointer(pcr=10))
