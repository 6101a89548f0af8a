"""The IMA list: does it cover what runs, is every file known, was the kernel ever unable to vouch?"""

from collections.abc import Iterator
from functools import partial

from bartizan.appraise.checks.sets import out_of_force
from bartizan.appraise.command_lines import booted_with, is_known_line, measures_all
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.appraise.generated import rule_for
from bartizan.appraise.kexec_rule import kexec_rule
from bartizan.appraise.measured import all_known, covered_columns, look_up, measured_twice
from bartizan.formats.ima_buffer import decode_buffer
from bartizan.formats.inert import inert
from bartizan.model.boot_log import FILE_PCR
from bartizan.model.ima import IMA_PCR, ImaEntry
from bartizan.model.ima_buffer import KexecCommandLine
from bartizan.model.policy import GeneratedRule
from bartizan.model.reference import ReferenceState
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.verify.ima import violation_kinds
from bartizan.verify.ima_start import hash_named

BLIND_SPOTS = (
    "tmpfs and the initramfs are outside the coverage of ima_policy=tcb: PCR 9 alone vouches for the initramfs;"
    " and where the kernel takes unsigned IMA rules, or kexec of a kernel that does not measure, root can go on unseen"
)
GENERATED = "ima.generated-files"
RULE_NOTE = "no digest of it is known, it is recognised by the rule"


def list_present(context: Context) -> Iterator[Finding]:
    """ima.list-present: whether an IMA list came with the evidence at all."""
    ima = context.evidence.ima
    if ima is None:
        extended = any(context.evidence.quote.pcrs.get(context.bank, {}).get(IMA_PCR, b""))
        why = "no IMA list came with the evidence: what ran after the boot is not known" + (
            ", though PCR 10 was extended; nor whether another kernel was started since (kexec)" if extended else ""
        )
        yield context.say("ima.list-present", Tier.NONE, why, Pointer(pcr=10))
    else:
        yield context.say("ima.list-present", Tier.AFFIRMING, f"an IMA list with {len(ima.list.entries)} entries")


def coverage(context: Context) -> Iterator[Finding]:
    """ima.coverage: the IMA policy stands on the measured command line, so what the list covers is proved."""
    if context.evidence.ima is None:
        return
    lines = booted_with(context)
    covered = [line for line in lines if measures_all(line.text)]
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
    looked_up = look_up(covered_columns(ima), reference)
    said = [finding for finding in map(partial(judged_file, context, reference), looked_up.strangers) if finding]
    yield from said
    generated = sum(finding.id == GENERATED for finding in said)
    if generated == len(said):
        why = all_known(looked_up.tally, generated=generated)
        yield context.say("ima.known-files", Tier.AFFIRMING, why, Pointer(pcr=10))


def judged_file(context: Context, reference: ReferenceIndex, entry: ImaEntry) -> Finding | None:
    """What is to be said of an entry that is no known file by path and digest; None where it is known all the same."""
    measured = (entry.digest_alg, entry.digest)
    known = reference.paths.get(entry.path, frozenset())
    if any(alg == entry.digest_alg for alg, _ in known):
        return _changed(context, reference, entry)
    if measured in reference.digests or _is_known_otherwise(context, reference, entry):
        return None
    rule = _rule(context, entry)
    if rule is None:
        return _unknown(context, reference, entry)
    why = f"{shown(entry.path)} was made on the machine by {rule.generator}: {RULE_NOTE} {rule.name!r}"
    return context.say(GENERATED, Tier.WARNING, why, _at(entry))


def _is_known_otherwise(context: Context, reference: ReferenceIndex, entry: ImaEntry) -> bool:
    """A kernel or initramfs of a known boot, an IMA policy that the policy names, or a known line of a kexec."""
    alg = hash_named(entry.digest_alg)
    if alg is not None and (FILE_PCR, alg, entry.digest) in reference.events:
        return True
    buffer = decode_buffer(entry)
    if isinstance(buffer, KexecCommandLine):
        return is_known_line(context, buffer.text)
    return kexec_rule(context.policy, entry) is not None


def _changed(context: Context, reference: ReferenceIndex, entry: ImaEntry) -> Finding:
    """A known path under another digest; what an administrator may change is unknown, not replaced."""
    if entry.path in reference.changeable:
        why = f"{shown(entry.path)} is a configuration file that is not as its package has it"
        return context.say("ima.known-files", context.policy.unknown_file, why, _at(entry))
    former = reference.formerly_file(entry.digest_alg, entry.digest)
    cause = "the file was replaced or changed"
    if former is not None:
        cause = f"this one counts no more, for {out_of_force(context, former)} and no other has it"
    why = f"{shown(entry.path)} is known under another digest: {cause}"
    return context.say("ima.known-files", Tier.CONTRAINDICATED, why, _at(entry))


def _unknown(context: Context, reference: ReferenceIndex, entry: ImaEntry) -> Finding:
    """A file that no set knows, or one alone that counts no more; what a revoked one knew is contraindicated."""
    known = reference.paths.get(entry.path, frozenset())
    why = f"{shown(entry.path)} is not a known file{_incomparable(entry, known)}{_module_note(entry)}"
    former = reference.formerly_file(entry.digest_alg, entry.digest)
    if former is None:
        return context.say("ima.known-files", context.policy.unknown_file, why, _at(entry))
    is_revoked = former.state is ReferenceState.REVOKED
    tier = Tier.CONTRAINDICATED if is_revoked else context.policy.unknown_file
    return context.say("ima.known-files", tier, f"{why}: {out_of_force(context, former)}", _at(entry))


def _rule(context: Context, entry: ImaEntry) -> GeneratedRule | None:
    """The rule for generated files that covers an entry; never one whose path is known under some digest."""
    reference = context.reference
    if reference is None or not context.policy.generated or entry.path in reference.paths:
        return None
    return rule_for(entry.path, context.policy.generated, reference.paths)


def _incomparable(entry: ImaEntry, known: frozenset[tuple[str, bytes]]) -> str:
    """Another hash algorithm says nothing about the content, for or against it."""
    algorithms = ", ".join(sorted({alg for alg, _ in known}))
    return f" by its {entry.digest_alg} digest: only {algorithms} can be compared" if known else ""


def _module_note(entry: ImaEntry) -> str:
    if entry.path.endswith((b".ko", b".ko.xz", b".ko.zst", b".ko.gz")) and not entry.signature:
        return f" (a kernel module, whose signature cannot be proved from {entry.template})"
    return ""


def changed_files(context: Context) -> Iterator[Finding]:
    """ima.changed-file: a path measured again under a digest that is not known, said at both entries."""
    reference = context.reference
    for earlier, entry in measured_twice(covered_columns(context.evidence.ima), reference):
        if _rule(context, entry) or (reference is not None and _is_known_otherwise(context, reference, entry)):
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
    columns = covered_columns(ima)
    found = columns.violations
    kinds = violation_kinds(ima.list)
    for entry in (columns[place] for place in found):
        kind = kinds[entry.index]
        why = f"the kernel could not vouch for {shown(entry.path)}: {kind.value}"
        yield context.say("ima.violations", Tier.WARNING, why, _at(entry))
    if not found:
        why = "no violation: the kernel vouches for every measurement"
        yield context.say("ima.violations", Tier.AFFIRMING, why, Pointer(pcr=10))
