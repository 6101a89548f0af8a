"""An IMA list held against quoted PCRs: how much of it the TPM vouches for. It judges no file.

Source: Linux, security/integrity/ima. Steps:
(1) each entry's own template digest equals H(template data) in the column's algorithm; the column is never replayed;
(2) the longest prefix whose replay is PCR 10 of the pinned bank is what counts; the rest was added after the quote;
(3) where that fits only with SHA-1 digests padded with zeros, or the pinned bank is SHA-1, its strength is SHA-1's;
(4) the other banks, and other PCRs that entries extend, are compared too;
(5) without such a prefix the list is not the one that this TPM saw;
(6) boot_aggregate ties the list to the boot before it, and there is one.
"""

from collections.abc import Iterator

from bartizan.formats.inert import inert
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import VerifiedIma
from bartizan.model.ima import IMA_PCR, ImaEntry, ImaList
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.verify.ima_outcome import ima_outcome
from bartizan.verify.ima_replay import Extensions, Match, computable, match_bank, replay_ima
from bartizan.verify.ima_start import MAX_POINTED, check_boot_aggregate, check_kexec, hash_named
from bartizan.verify.ima_violations import violation_kind, violation_kinds

__all__ = ["replay_ima", "verify_ima", "violation_kind", "violation_kinds"]

SHOWN = 16
"""Hexadecimal digits of a PCR value that a sentence shows."""


def verify_ima(ima: ImaList, pcrs: PcrBanks, *, pinned: HashAlg, boot_pcrs: PcrBanks | None = None) -> VerifiedIma:
    """Hold a list against PCR values; boot_pcrs: those that boot_aggregate is checked with, if not the same.

    A list that does not fit is not refused: its findings say so, and `matched` is None.
    """
    extensions = Extensions(ima)
    findings = [*_check_column(ima, extensions), *_check_form(ima)]  # (1)
    match: Match | None = None
    if IMA_PCR in pcrs.get(pinned, {}) and computable(pinned):
        match = match_bank(ima, pinned, pcrs[pinned], extensions)  # (2)
    findings += _say_replay(ima, match, pcrs, pinned=pinned)  # (2) (5)
    matched = match.matched if match else None
    if match and matched is not None:
        findings += _say_strength(match, pinned)  # (3)
        findings += _say_other_pcrs(match, pinned)  # (4)
    findings += _check_other_banks(ima, pcrs, extensions, pinned=pinned, matched=matched)  # (4)
    aggregate_matches, start = check_boot_aggregate(ima, pcrs if boot_pcrs is None else boot_pcrs)  # (6)
    findings += [start] if start else []
    findings += check_kexec(ima)
    return VerifiedIma(
        list=ima,
        matched=matched,
        pending=0 if matched is None else len(ima.entries) - matched,
        zero_padded=bool(match and match.zero_padded),
        aggregate_matches=aggregate_matches,
        findings=tuple(findings),
    )


def _pointer(entry: ImaEntry) -> Pointer:
    return Pointer(pcr=entry.pcr, entry=entry.index, path=inert(entry.path.decode("utf-8", "surrogateescape")))


def _check_column(ima: ImaList, extensions: Extensions) -> Iterator[Finding]:
    """(1) Where the list's own column lies."""
    digests = extensions.of(_column_algorithm(ima))
    wrong = [
        entry
        for entry, digest in zip(ima.entries, digests, strict=False)
        if entry.reported_template_digest != digest and not entry.is_violation
    ]
    for entry in wrong[:MAX_POINTED]:
        why = "the list's own template digest is not the hash of this entry's data"
        yield ima_outcome("template-digest", Tier.CONTRAINDICATED, why, _pointer(entry))
    if len(wrong) > MAX_POINTED:
        why = f"{len(wrong) - MAX_POINTED} more entries have a template digest that is not the hash of their data"
        yield ima_outcome("template-digest", Tier.CONTRAINDICATED, why)


def _column_algorithm(ima: ImaList) -> HashAlg:
    """The algorithm of the list's own digests: the first of their size that fits the first measurement."""
    fitting = [alg for alg in HashAlg if alg.size == ima.digest_size and computable(alg)]
    for entry in ima.entries:
        data = entry.template_data
        if data is not None and not entry.is_violation:
            return next((alg for alg in fitting if alg.digest(data) == entry.reported_template_digest), fitting[0])
    return fitting[0]


def _check_form(ima: ImaList) -> Iterator[Finding]:
    """Entries whose digest cannot be compared with anything."""
    unread = [(entry, why) for entry in ima.entries if (why := _unread(entry))]
    for entry, why in unread[:MAX_POINTED]:
        yield ima_outcome("list-form", Tier.WARNING, why, _pointer(entry))
    if len(unread) > MAX_POINTED:
        why = f"{len(unread) - MAX_POINTED} more entries hold no digest that can be compared"
        yield ima_outcome("list-form", Tier.WARNING, why)


def _unread(entry: ImaEntry) -> str:
    """Why its digest cannot be compared; empty if it can, or if there is none to compare (a violation)."""
    if entry.is_violation and entry.digest_alg:
        return ""
    if not entry.digest_alg:
        return f"template {inert(entry.template)} holds no file digest that Bartizan can read"
    alg = hash_named(entry.digest_alg.removeprefix("verity:"))
    if alg is None:
        return f"hash algorithm {entry.digest_alg} is not known"
    return (
        "" if len(entry.digest) == alg.size else f"a {alg.label} digest has {alg.size} bytes, not {len(entry.digest)}"
    )


def _say_replay(ima: ImaList, match: Match | None, pcrs: PcrBanks, *, pinned: HashAlg) -> Iterator[Finding]:
    at = Pointer(pcr=IMA_PCR, bank=pinned.label)
    total = len(ima.entries)
    if match is None:
        yield ima_outcome(
            "replays", Tier.NONE, f"no PCR 10 of the {pinned.label} bank, or no such hash, to hold the list against", at
        )
    elif match.matched is None:
        yield _say_mismatch(ima, match, pcrs[pinned][IMA_PCR], at)
    else:
        yield ima_outcome("replays", Tier.AFFIRMING, f"{match.matched} of {total} entries replay to PCR 10", at)
        if match.matched < total:
            why = f"{total - match.matched} entries were added after the quote; they count next time"
            yield ima_outcome("pending", Tier.AFFIRMING, why, Pointer(pcr=IMA_PCR, entry=match.matched))


def _say_mismatch(ima: ImaList, match: Match, held: bytes, at: Pointer) -> Finding:
    """(5) Why no prefix fits."""
    unknown = next((entry for entry in ima.entries if entry.template_data is None), None)
    if not any(held):
        why = f"PCR 10 was never extended, yet the list has {len(ima.entries)} entries: it is not of this TPM"
    elif unknown:
        why = f"cannot be replayed: the ascii form does not hold the data of template {inert(unknown.template)}"
        return ima_outcome("replays", Tier.WARNING, why, _pointer(unknown))
    else:
        why = (
            f"{len(ima.entries)} entries replay to {match.end.hex()[:SHOWN]}…, the TPM holds {held.hex()[:SHOWN]}…:"
            " entries were removed or changed, or PCR 10 was extended behind the list"
        )
    return ima_outcome("replays", Tier.CONTRAINDICATED, why, at)


def _say_strength(match: Match, pinned: HashAlg) -> Iterator[Finding]:
    at = Pointer(pcr=IMA_PCR, bank=pinned.label)
    if match.zero_padded:
        why = (
            f"the kernel extends the {pinned.label} bank with SHA-1 template digests padded with zeros: SHA-1 strength"
        )
        yield ima_outcome("strength", Tier.WARNING, why, at)
    elif pinned is HashAlg.SHA1:
        yield ima_outcome("strength", Tier.WARNING, "PCR 10 is held against the SHA-1 bank: SHA-1 strength", at)
    else:
        yield ima_outcome("strength", Tier.AFFIRMING, f"PCR 10 is extended with {pinned.label} template digests", at)


def _say_other_pcrs(match: Match, pinned: HashAlg) -> Iterator[Finding]:
    for pcr, fits in match.others.items():
        at = Pointer(pcr=pcr, bank=pinned.label)
        if fits:
            yield ima_outcome("other-pcr", Tier.AFFIRMING, f"the entries for PCR {pcr} replay to it", at)
        else:
            why = f"nothing vouches for the entries for PCR {pcr}: they do not replay to it, or software can reset it"
            yield ima_outcome("other-pcr", Tier.WARNING, why, at)


def _check_other_banks(
    ima: ImaList, pcrs: PcrBanks, extensions: Extensions, *, pinned: HashAlg, matched: int | None
) -> Iterator[Finding]:
    for bank, values in pcrs.items():
        if bank is pinned or IMA_PCR not in values or not computable(bank):
            continue
        match = match_bank(ima, bank, values, extensions)
        tier = Tier.AFFIRMING
        if match.matched is None:
            tier, why = Tier.WARNING, f"PCR 10 of the {bank.label} bank is not what the list replays to"
        elif match.matched != matched:
            tier, why = Tier.WARNING, f"{match.matched} entries replay to PCR 10 of the {bank.label} bank"
        elif match.zero_padded:
            why = f"the {bank.label} bank agrees, at SHA-1 strength: it holds SHA-1 template digests padded with zeros"
        else:
            why = f"the {bank.label} bank agrees"
        yield ima_outcome("other-bank", tier, why, Pointer(pcr=IMA_PCR, bank=bank.label))
