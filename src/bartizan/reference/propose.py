"""Reference Values from one verified boot: what it measured, and nothing that a quote does not vouch for."""

from collections.abc import Iterator

from bartizan.errors import VerifyError
from bartizan.formats.event_data import decode_event_data
from bartizan.formats.event_text import describe
from bartizan.formats.inert import inert
from bartizan.formats.reference_file import decode_reference, encode_reference
from bartizan.model.boot_facts import BootFacts
from bartizan.model.boot_log import Event, EventType
from bartizan.model.digest import SIZES, HashAlg
from bartizan.model.evidence import VerifiedBoot, VerifiedIma
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet
from bartizan.model.result import Finding, Tier
from bartizan.verify.ima_start import starts_list

MAX_LABEL = 4096
"""Characters of a label: a kernel command line may be 4096 bytes long (COMMAND_LINE_SIZE)."""
PROPOSED, PREDICTED, COMPARED = "proposed from", "predicted from", "compared with"
"""What is done with a boot."""


def propose(
    boot: VerifiedBoot, ima: VerifiedIma | None, *, name: str, source: str, done: str = PROPOSED
) -> ReferenceSet:
    """The set that recognises this boot again; `done` says what is not done with a boot that does not add up.

    Raises:
        VerifyError: a PCR is not explained, the log breaks a rule, or the IMA list does not replay: nothing is learned
            from evidence that does not add up.
    """
    refuse_doubtful(boot.findings, ("boot.", "launch."), done=done)
    if ima is not None:
        listed = ("ima.replays", "ima.boot-aggregate", "ima.template-digest", "ima.kexec")
        refuse_doubtful(ima.findings, listed, done=done)
    return canonical(
        ReferenceSet(
            name=name,
            source=source,
            events=tuple(_events(boot)),
            files=tuple(_files(ima)) if ima is not None else (),
            digest="",
        )
    )


def canonical(reference: ReferenceSet) -> ReferenceSet:
    """The same set as its document yields it: sorted, and with its digest."""
    return decode_reference(encode_reference(reference))


def refuse_doubtful(findings: tuple[Finding, ...], prefixes: tuple[str, ...], *, done: str) -> None:
    """Stop at the first finding of these checks that is worse than a warning.

    Raises:
        VerifyError: that finding.
    """
    for finding in findings:
        if finding.id.startswith(prefixes) and finding.tier in (Tier.CONTRAINDICATED, Tier.NONE):
            raise VerifyError(finding.id, f"nothing is {done} this boot: {finding.why}")


def measurements(boot: VerifiedBoot) -> Iterator[Event]:
    """The events of a boot that a set has values of, in order; separators say nothing."""
    return (event for event in boot.events if event.reported_type != EventType.SEPARATOR)


def _events(boot: VerifiedBoot) -> Iterator[ReferenceEvent]:
    for event in measurements(boot):
        digests = {HashAlg(alg): digest for alg, digest in event.digests.items() if alg in SIZES}
        strong: dict[HashAlg, bytes] = {
            alg: digest for alg, digest in digests.items() if alg != HashAlg.SHA1
        } or digests
        yield ReferenceEvent(pcr=event.pcr, digests=strong, label=label(event, boot.facts))


def label(event: Event, facts: BootFacts) -> str:
    """A text for people: what a digest covers where it covers a text, else what the log says it is."""
    for text in facts.texts:
        if (text.pcr, text.event) == (event.pcr, event.index):
            return inert(f"{text.kind}: {text.text}", limit=MAX_LABEL)
    return describe(decode_event_data(event))


def _files(ima: VerifiedIma) -> Iterator[ReferenceFile]:
    seen: set[tuple[bytes, str, bytes]] = set()
    for entry in ima.list.entries[: ima.matched or 0]:
        key = (entry.path, entry.digest_alg, entry.digest)
        if entry.is_violation or not entry.digest_alg or starts_list(entry) or key in seen:
            continue
        seen.add(key)
        yield ReferenceFile(path=entry.path, alg=entry.digest_alg, digest=entry.digest)
