"""An IMA list held against quoted PCRs: how much of it the TPM vouches for. It judges no file.

Source: Linux, security/integrity/ima. Steps:
(1) each entry's own template digest equals H(template data) in the column's algorithm; the column is never replayed;
(2) the longest prefix whose replay is PCR 10 of the pinned bank is what counts; the rest was added after the quote;
(3) where that fits only with SHA-1 digests padded with zeros, or the pinned bank is SHA-1, its strength is SHA-1's;
(4) the other banks, and other PCRs that entries extend, are compared too;
(5) without such a prefix the list is not the one that this TPM saw;
(6) boot_aggregate ties the list to the boot before it, and there is one.
"""

from collections.abc import Iterator, Mapping

from bartizan.formats.inert import inert
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import VerifiedIma
from bartizan.model.ima import IMA_PCR, ImaColumns, ImaEntry, ImaList
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
    columns = ima.columns
    extensions = Extensions(columns)
    findings = [*_check_column(ima, columns, extensions), *_check_form(columns)]  # (1)
    matches = {
        bank: match_bank(columns, bank, values, extensions)
        for bank, values in pcrs.items()
        if IMA_PCR in values and computable(bank)
    }
    match = matches.pop(pinned, None)  # (2)
    findings += _say_replay(ima, match, pcrs, pinned=pinned)  # (2) (5)
    matched = match.matched if match else None
    if match and matched is not None:
        findings += _say_strength(match, pinned)  # (3)
        findings += _say_other_pcrs(match, pinned)  # (4)
    findings += _say_other_banks(matches, matched)  # (4)
    aggregate_matches, start = check_boot_aggregate(ima, pcrs if boot_pcrs is None else boot_pcrs)  # (6)
    findings += [start] if start else []
    findings += check_kexec(ima)
    agreeing = {bank: one.zero_padded for bank, one in matches.items() if one.matched == matched}
    return VerifiedIma(
        list=ima,
        matched=matched,
        pending=0 if matched is None else len(columns) - matched,
        zero_padded=bool(match and match.zero_padded),
        agreeing={} if match is None or matched is None else agreeing | {pinned: match.zero_padded},
        aggregate_matches=aggregate_matches,
        findings=tuple(findings),
    )


def _pointer(entry: ImaEntry) -> Pointer:
    return Pointer(pcr=entry.pcr, entry=entry.index, path=inert(entry.path.decode("utf-8", "surrogateescape")))


def _check_column(ima: ImaList, columns: ImaColumns, extensions: Extensions) -> Iterator[Finding]:
    """(1) Where the list's own column lies."""
    wrong = lies_in(columns, extensions.of(column_algorithm(columns, ima.digest_size)))
    for place in wrong[:MAX_POINTED]:
        why = "the list's own template digest is not the hash of this entry's data"
        yield ima_outcome("template-digest", Tier.CONTRAINDICATED, why, _pointer(columns[place]))
    if len(wrong) > MAX_POINTED:
        why = f"{len(wrong) - MAX_POINTED} more entries have a template digest that is not the hash of their data"
        yield ima_outcome("template-digest", Tier.CONTRAINDICATED, why)


def lies_in(columns: ImaColumns, digests: list[bytes]) -> list[int]:
    """The places where the list's own column is neither the entry's template digest nor a violation's."""
    reported = columns.reported_template_digests[: len(digests)]
    if list(reported) == digests:
        return []
    return [place for place, one in enumerate(reported) if one != digests[place] and any(one)]


def column_algorithm(columns: ImaColumns, digest_size: int) -> HashAlg:
    """The algorithm of a list's own digests: the first of their size that fits the first measurement."""
    fitting = [alg for alg in HashAlg if alg.size == digest_size and computable(alg)]
    for data, reported in zip(columns.template_data, columns.reported_template_digests, strict=True):
        if data is not None and any(reported):
            return next((alg for alg in fitting if alg.digest(data) == reported), fitting[0])
    return fitting[0]


def _check_form(columns: ImaColumns) -> Iterator[Finding]:
    """Entries whose digest cannot be compared with anything."""
    unread = [(place, why) for place, why in unread_in(columns)]
    for place, why in unread[:MAX_POINTED]:
        # No digest covers a template's name: an unknown one is how an entry hides that it could be read.
        tier = Tier.WARNING if columns.digest_algs[place] else Tier.CONTRAINDICATED
        yield ima_outcome("list-form", tier, why, _pointer(columns[place]))
    if len(unread) > MAX_POINTED:
        why = f"{len(unread) - MAX_POINTED} more entries hold no digest that can be compared"
        yield ima_outcome("list-form", Tier.WARNING, why)


def unread_in(columns: ImaColumns) -> list[tuple[int, str]]:
    """The places of entries whose digest cannot be compared with anything, and why."""
    algs, sizes = set(columns.digest_algs), set(map(len, columns.digests))
    if all(_unread(alg, size) == "" for alg in algs for size in sizes):
        return []
    faults = ((entry, _unread(entry.digest_alg, len(entry.digest))) for entry in columns)
    return [
        (
            entry.index - columns.first,
            why or f"template {inert(entry.template)} holds no file digest that Bartizan can read",
        )
        for entry, why in faults
        if why is None or (why and not entry.is_violation)
    ]


def _unread(digest_alg: str, size: int) -> str | None:
    """Why such a digest cannot be compared; empty if it can, None if there is none."""
    if not digest_alg:
        return None
    alg = hash_named(digest_alg.removeprefix("verity:"))
    if alg is None:
        return f"hash algorithm {digest_alg} is not known"
    return "" if size == alg.size else f"a {alg.label} digest has {alg.size} bytes, not {size}"


def _say_replay(ima: ImaList, match: Match | None, pcrs: PcrBanks, *, pinned: HashAlg) -> Iterator[Finding]:
    at = Pointer(pcr=IMA_PCR, bank=pinned.label)
    if match is None:
        yield ima_outcome(
            "replays", Tier.NONE, f"no PCR 10 of the {pinned.label} bank, or no such hash, to hold the list against", at
        )
    elif match.matched is None:
        yield _say_mismatch(ima, match, pcrs[pinned][IMA_PCR], at)
    else:
        yield from say_covered(match.matched, len(ima.entries), pinned)


def say_covered(matched: int, total: int, pinned: HashAlg) -> Iterator[Finding]:
    """How many entries the quote covers, and how many it does not cover yet."""
    at = Pointer(pcr=IMA_PCR, bank=pinned.label)
    yield ima_outcome("replays", Tier.AFFIRMING, f"{matched} of {total} entries replay to PCR 10", at)
    if matched < total:
        why = f"{total - matched} entries were added after the quote; they count next time"
        yield ima_outcome("pending", Tier.AFFIRMING, why, Pointer(pcr=IMA_PCR, entry=matched))


def _say_mismatch(ima: ImaList, match: Match, held: bytes, at: Pointer) -> Finding:
    """(5) Why no prefix fits."""
    data = ima.columns.template_data
    unknown = ima.entries[data.index(None)] if None in data else None
    if not any(held):
        why = f"PCR 10 was never extended, yet the list has {len(ima.entries)} entries: it is not of this TPM"
    elif unknown:
        why = f"cannot be replayed: the ascii form does not hold the data of template {inert(unknown.template)}"
        return ima_outcome("replays", Tier.WARNING, why, _pointer(unknown))
    else:
        why = (
            f"{len(ima.entries)} entries replay to {match.end.hex()[:SHOWN]}…, the TPM holds {held.hex()[:SHOWN]}…:"
            " entries were removed or changed, PCR 10 was extended behind the list, or a kexec did not carry it on"
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


def _say_other_banks(matches: Mapping[HashAlg, Match], matched: int | None) -> Iterator[Finding]:
    for bank, match in matches.items():
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
