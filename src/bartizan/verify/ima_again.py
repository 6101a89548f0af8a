"""An IMA list held against a later quote of the same boot: only what came since the last one is replayed.

PCR 10 as it was quoted last is where the replay goes on from. Steps:
(1) what was not covered by the last quote, and what came since, are the entries to look at;
(2) if all of them are ordinary, PCR 10 of every bank that agreed so far is replayed from its last value;
(3) the new values fall at one and the same entry in all of them: so far the quote covers the list;
(4) in every other case the whole list is looked at as in the first attestation (`verify_ima`): the outcome is the same;
(5) entries that were sent before this quote must be covered by it.
"""

from dataclasses import dataclass, replace

from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import VerifiedIma
from bartizan.model.ima import IMA_PCR, ImaColumns, ImaParts
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.verify.ima import column_algorithm, lies_in, say_covered, unread_in, verify_ima
from bartizan.verify.ima_outcome import ima_outcome
from bartizan.verify.ima_replay import Extensions, computable, running_values
from bartizan.verify.ima_start import starts_in

RESAID = frozenset({"ima.replays", "ima.pending"})
"""The findings that count entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherIma:
    """A list after another quote.

    covered: the entries that this quote covers and the last one did not, None where the whole list was looked at;
    late: the finding that entries sent before this quote are not covered by it.
    """

    ima: VerifiedIma
    covered: ImaColumns | None
    late: Finding | None


def verify_further(
    known: VerifiedIma, further: ImaColumns, *, before: PcrBanks, pcrs: PcrBanks, pinned: HashAlg
) -> FurtherIma:
    """Hold a list and the entries that follow it against a later quote's PCRs; before: those of the last quote."""
    parts = _parts(known)
    whole = parts.followed_by(further)
    fresh = whole.since(known.matched or 0)  # (1)
    size = _covered(known, parts, fresh, before=before, pcrs=pcrs) if known.matched is not None else None
    if known.matched is None or size is None:
        joined = ImaParts(parts=(whole.joined(),))
        ima = verify_ima(replace(known.list, entries=joined), pcrs, pinned=pinned)  # (4)
        return FurtherIma(ima=ima, covered=None, late=_late(known, ima.matched))
    matched = known.matched + size
    counted = say_covered(matched, len(whole), pinned)
    findings = (*counted, *(finding for finding in known.findings if finding.id not in RESAID))
    ima = replace(
        known,
        list=replace(known.list, entries=whole),
        matched=matched,
        pending=len(fresh) - size,
        findings=findings,
    )
    return FurtherIma(ima=ima, covered=fresh[:size], late=_late(known, matched))


def _parts(ima: VerifiedIma) -> ImaParts:
    held = ima.list.entries
    return held if isinstance(held, ImaParts) else ImaParts(parts=(ima.list.columns,))


def in_one_piece(ima: VerifiedIma) -> VerifiedIma:
    """The same, with its entries in one piece, for whoever looks at all of them."""
    parts = _parts(ima)
    if len(parts.parts) == 1:
        return ima
    return replace(ima, list=replace(ima.list, entries=ImaParts(parts=(parts.joined(),))))


def _covered(known: VerifiedIma, parts: ImaParts, fresh: ImaColumns, *, before: PcrBanks, pcrs: PcrBanks) -> int | None:
    """How many of the fresh entries the quote covers; None if only a look at the whole list can tell."""
    banks = [bank for bank, values in pcrs.items() if IMA_PCR in values and computable(bank)]
    if known.agreeing.keys() != set(banks) or any(finding.id == "ima.other-pcr" for finding in known.findings):
        return None
    extensions = Extensions(fresh)
    digests = extensions.of(column_algorithm(parts.parts[0], known.list.digest_size))
    if not ordinary(fresh) or lies_in(fresh, digests) or unread_in(fresh):
        return None
    sizes = set()
    for bank in banks:  # (2)
        start, wanted = before[bank][IMA_PCR], pcrs[bank][IMA_PCR]
        digests = extensions.of(bank, zero_padded_sha1=known.agreeing[bank])
        values = [start, *running_values(fresh, digests, bank, start=start)]
        sizes.add(values.index(wanted) if wanted in values else None)
    return sizes.pop() if len(sizes) == 1 else None  # (3)


def ordinary(columns: ImaColumns) -> bool:
    """Measurements of files into PCR 10 and nothing else: no violation, no buffer, no other PCR, no start of a list."""
    return (
        columns.pcrs.count(IMA_PCR) == len(columns)
        and None not in columns.template_data
        and not columns.violations
        and not any(columns.payloads)
        and not starts_in(columns)
    )


def _late(known: VerifiedIma, matched: int | None) -> Finding | None:
    """(5) Entries of before that this quote does not cover."""
    sent = (known.matched or 0) + known.pending
    if matched is None or matched >= sent:
        return None
    why = f"{sent - matched} entries came before this quote was made, and PCR 10 does not hold them: it never saw them"
    return ima_outcome("replays", Tier.CONTRAINDICATED, why, Pointer(pcr=IMA_PCR, entry=matched))
