"""Is every part of the boot known: by Reference Value, or for a new kernel by its signer?

Each event of an explained PCR must be a known one; a separator says nothing and needs none. GRUB's commands are known
by digest too, and the file they come from is measured in PCR 9, so their order needs no rule of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bartizan.appraise.checks.sets import out_of_force
from bartizan.appraise.checks.signer import SignerRule
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.formats.event_data import decode_event_data
from bartizan.formats.event_text import describe
from bartizan.formats.inert import inert
from bartizan.model.boot_log import IMAGE_PCR, Event
from bartizan.model.reference import ReferenceState
from bartizan.model.result import Finding, Pointer, Tier

MAX_COMPARED = 4096
"""Characters of a text that is compared word by word: COMMAND_LINE_SIZE; longer ones are only named."""
MAX_PROVENANCE = 400
"""Characters of a sentence about where a value comes from."""
LAUNCH_PCRS = (17, 18, 19)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the boot: its check, its name for people, its PCRs, and whether it must have been measured at all."""

    check: str
    name: str
    pcrs: tuple[int, ...]


PARTS = (
    Part(check="recognised.firmware", name="firmware", pcrs=(0,)),
    Part(check="recognised.firmware-settings", name="firmware setting", pcrs=(1,)),
    Part(check="recognised.option-rom", name="option ROM", pcrs=(2,)),
    Part(check="recognised.loader", name="loader or kernel", pcrs=(4,)),
    Part(check="recognised.other-settings", name="boot setting", pcrs=(3, 5, 6, 15)),
    Part(check="recognised.secure-boot", name="Secure Boot variable or authority", pcrs=(7,)),
    Part(check="recognised.command-line", name="command line", pcrs=(8, 12)),
    Part(check="recognised.boot-files", name="boot file", pcrs=(9, 11, 13)),
    Part(check="recognised.owner-keys", name="machine owner key", pcrs=(14,)),
)


KERNEL_PARTS = frozenset({"recognised.command-line", "recognised.boot-files"})
KERNEL_PCRS = (8, 9, 11, 12)
"""Where loaders and stubs measure what becomes the kernel: GRUB 8 and 9, Linux's stub 9, systemd-stub 11 and 12."""


def parts(context: Context) -> Iterator[Finding]:
    """recognised.*: each part of a static boot held against the Reference Values."""
    if context.evidence.boot.log is None:
        return
    signer = SignerRule.of(context)
    for part in PARTS:
        yield from _part(context, part, signer)


def _part(context: Context, part: Part, signer: SignerRule) -> Iterator[Finding]:
    boot, reference = context.evidence.boot, context.reference
    unexplained = [pcr for pcr in part.pcrs if not boot.explains(pcr, context.bank)]
    if unexplained:
        why = f"nothing can be recognised in a PCR that the log does not explain ({part.name})"
        yield context.say(part.check, Tier.NONE, why, Pointer(pcr=unexplained[0]))
        return
    if reference is None:
        why = f"no Reference Values were given to recognise this part ({part.name})"
        yield context.say(part.check, Tier.NONE, why, Pointer(pcr=part.pcrs[0]))
        return
    if part.check in KERNEL_PARTS and not any(context.measured(pcr) for pcr in KERNEL_PCRS):
        why = f"nothing was measured of the kernel's command line, file and initramfs, so no {part.name} is recognised"
        yield context.say(part.check, Tier.NONE, why, Pointer(pcr=part.pcrs[0]))
        return
    faults = [finding for pcr in part.pcrs for finding in _pcr(context, part, reference, pcr=pcr, signer=signer)]
    yield from faults
    if all(finding.tier is Tier.AFFIRMING for finding in faults):
        count = sum(len(context.measured(pcr)) for pcr in part.pcrs)
        why = "; ".join([f"every {part.name} is recognised ({count} events)", *_provenance(context, part)])
        yield context.say(part.check, Tier.AFFIRMING, why, Pointer(pcr=part.pcrs[0]))


def _pcr(context: Context, part: Part, reference: ReferenceIndex, *, pcr: int, signer: SignerRule) -> Iterator[Finding]:
    events = [event for event in context.measured(pcr) if not context.is_separator(event)]
    expected = reference.by_pcr.get(pcr, ())
    if expected and not events and all(any(event.pcr == pcr for event in some.events) for some in reference.sets):
        why = f"PCR {pcr} holds nothing, where the Reference Values have {len(expected)} measurements"
        yield context.say(part.check, Tier.WARNING, why, Pointer(pcr=pcr))
    for event in events:
        if context.knows(event):
            continue
        former = reference.formerly(event, context.bank)
        if former is not None and former.state is ReferenceState.REVOKED:
            why = f"{part.name} revoked: {_difference(context, event)}; {out_of_force(context, former)}"
            yield context.say(part.check, Tier.CONTRAINDICATED, why, context.at(event))
            continue
        accepted = signer.accepts(event)
        if accepted is not None:
            yield context.say(part.check, Tier.AFFIRMING, accepted, context.at(event))
            continue
        only = f"; {out_of_force(context, former)}, and no other has it" if former is not None else ""
        why = f"{part.name} not recognised: {_difference(context, event)}{only}"
        yield context.say(part.check, Tier.WARNING, why, context.at(event))


def _provenance(context: Context, part: Part) -> list[str]:
    """Where the values that recognise this part come from, in words, where that is more than the set's source."""
    known = context.reference.events if context.reference is not None else {}
    events = [event for pcr in part.pcrs for event in context.measured(pcr)]
    found = [known.get((event.pcr, context.bank, event.digests[context.bank])) for event in events]
    said = (some.provenance for some in found if some is not None and some.provenance)
    return [f"{inert(words, limit=MAX_PROVENANCE)}: accepted" for words in dict.fromkeys(said)]


def _difference(context: Context, event: Event) -> str:
    """What an event is, and for a text which words were added or left out against the nearest known one."""
    text = next((t for t in context.evidence.boot.facts.texts if t.event == event.index and t.pcr == event.pcr), None)
    reference = context.reference
    if text is None or reference is None or len(text.text) > MAX_COMPARED:
        return describe(decode_event_data(event))
    prefix = f"{text.kind}: "
    known = [e.label.removeprefix(prefix) for e in reference.by_pcr.get(event.pcr, ()) if e.label.startswith(prefix)]
    words = text.text.split()
    given = set(words)
    nearest = min((line.split() for line in known), key=lambda line: len(set(line) ^ given), default=[])
    if not given.intersection(nearest):
        return inert(prefix + text.text)
    before = set(nearest)
    added = [word for word in words if word not in before]
    removed = [word for word in nearest if word not in given]
    said = [f"{' '.join(added)} added"] if added else []
    said += [f"{' '.join(removed)} missing"] if removed else []
    return f"{inert(', '.join(said) or 'the same words in another order')} ({inert(text.kind)})"


def launch(context: Context) -> Iterator[Finding]:
    """recognised.launch: a dynamic launch's measurements held against the Reference Values."""
    boot = context.evidence.boot
    if not boot.launched or not all(boot.explains(pcr, context.bank) for pcr in LAUNCH_PCRS):
        return
    unknown = [event for pcr in LAUNCH_PCRS for event in context.measured(pcr) if not context.knows(event)]
    known = context.reference.by_pcr if context.reference is not None else {}
    missing = [pcr for pcr in LAUNCH_PCRS if known.get(pcr) and not context.measured(pcr)]
    why = f"the dynamic launch is explained, but its values are in no Reference Value ({len(unknown)} measurements)"
    for pcr in sorted({event.pcr for event in unknown}):
        yield context.say("recognised.launch", Tier.WARNING, why, Pointer(pcr=pcr))
    for pcr in missing:
        why = f"the dynamic launch measured nothing into PCR {pcr}, where the Reference Values have something"
        yield context.say("recognised.launch", Tier.WARNING, why, Pointer(pcr=pcr))
    if not unknown and not missing:
        yield context.say("recognised.launch", Tier.AFFIRMING, "the dynamic launch measured only known values")


def boot_path(context: Context) -> Iterator[Finding]:
    """recognised.boot-path: known images ran in the order and number that the Reference Values have."""
    reference = context.reference
    if reference is None or context.evidence.boot.log is None:
        return
    events = [event for event in context.measured(IMAGE_PCR) if not context.is_separator(event)]
    expected = reference.sequences(IMAGE_PCR, context.bank)
    if not events or not all(context.knows(event) for event in events):
        return
    if [event.digests.get(context.bank) for event in events] in expected:
        why = "the images ran in the order of the Reference Values"
        yield context.say("recognised.boot-path", Tier.AFFIRMING, why, Pointer(pcr=IMAGE_PCR))
        return
    why = (
        f"boot path not recognised: every image is known, but {len(events)} measurements stand where the"
        f" Reference Values have {' or '.join(str(len(some)) for some in expected)}, or in another order"
    )
    yield context.say("recognised.boot-path", Tier.WARNING, why, Pointer(pcr=IMAGE_PCR))
