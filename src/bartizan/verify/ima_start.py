"""How an IMA list starts: boot_aggregate, which ties it to the boot before it, and kexec. It judges no files.

Source: Linux, ima_add_boot_aggregate() in security/integrity/ima/ima_init.c and ima_calc_boot_aggregate() in
ima_crypto.c. The first entry is the hash over PCR 0–7 when that is SHA-1, over PCR 0–9 for any other algorithm (0–7
before Linux 5.8), of the bank of the same algorithm; all zeros when there was no TPM. A kernel started by kexec carries
the list on and adds a second one; a list without one at its start has lost what came before.
"""

from collections.abc import Iterator

from bartizan.model.digest import HashAlg, PcrBanks, PcrValues
from bartizan.model.ima import IMA_PCR, ImaColumns, ImaEntry, ImaList
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.verify.ima_outcome import ima_outcome

BOOT_AGGREGATE = b"boot_aggregate"
NARROW, WIDE = range(8), range(10)
MAX_POINTED = 50
"""Ours: entries named one by one; a list may repeat itself a million times."""
ALIASES = {"sm3": "sm3_256"}


def hash_named(label: str) -> HashAlg | None:
    """The algorithm of a file digest by its kernel name (`sm3-256`, `sha3-256`), None if it is not known."""
    name = label.replace("-", "_")
    try:
        return HashAlg.from_label(ALIASES.get(name, name))
    except KeyError:
        return None


def starts_list(entry: ImaEntry) -> bool:
    """It is a boot_aggregate. A file of that name, seen without its folder, looks the same: that only costs trust."""
    return entry.path == BOOT_AGGREGATE and entry.pcr == IMA_PCR


def starts_in(columns: ImaColumns) -> list[int]:
    """The indices of the entries that are a boot_aggregate, as `starts_list` tells."""
    found: list[int] = []
    place = -1
    for _ in range(columns.paths.count(BOOT_AGGREGATE)):
        place = columns.paths.index(BOOT_AGGREGATE, place + 1)
        if columns.pcrs[place] == IMA_PCR:
            found.append(columns.first + place)
    return found


def check_boot_aggregate(ima: ImaList, pcrs: PcrBanks) -> tuple[bool | None, Finding | None]:
    """Whether boot_aggregate is what these PCR values lead to: None where it cannot be told, or there is none."""
    first = ima.entries[0] if ima.entries else None
    if first is None or not starts_list(first):
        return None, None
    matches, tier, why = compare_aggregate(first, pcrs)
    return matches, ima_outcome("boot-aggregate", tier, why, Pointer(entry=0, path="boot_aggregate"))


def compare_aggregate(entry: ImaEntry, pcrs: PcrBanks) -> tuple[bool | None, Tier, str]:
    """One boot_aggregate held against PCR values: whether it is what they lead to, and what to say of that."""
    if not any(entry.digest):
        return None, Tier.WARNING, "boot_aggregate is all zeros: the kernel had no TPM when it started measuring"
    alg = hash_named(entry.digest_alg)
    if alg is None:
        return None, Tier.WARNING, f"boot_aggregate cannot be checked: {entry.digest_alg} is not known"
    spans = (NARROW,) if alg is HashAlg.SHA1 else (WIDE, NARROW)
    values = pcrs.get(alg, {})
    if not all(_held(values, span) for span in spans):
        return (
            None,
            Tier.WARNING,
            f"boot_aggregate cannot be checked: PCR 0–{spans[0][-1]} of {alg.label} are not there",
        )
    for span in spans:
        if alg.digest(b"".join(values[pcr] for pcr in span)) == entry.digest:
            return True, Tier.AFFIRMING, f"boot_aggregate is the {alg.label} hash over PCR 0–{span[-1]} of this boot"
    held = f"PCR 0–{spans[0][-1]}"
    why = (
        f"boot_aggregate is not the {alg.label} hash over {held}: the list is of another boot,"
        f" or {held} do not hold what they held when it began"
    )
    return False, Tier.CONTRAINDICATED, why


def _held(values: PcrValues, span: range) -> bool:
    return all(pcr in values for pcr in span)


def check_kexec(ima: ImaList) -> Iterator[Finding]:
    """Whether the list has one start, at its start."""
    starts = starts_in(ima.columns)
    if starts[:1] != [0]:
        why = "the list does not start with boot_aggregate: what ran before it is lost"
        yield ima_outcome("kexec", Tier.WARNING, why, Pointer(entry=0))
    further = [index for index in starts if index > 0]
    for index in further[:MAX_POINTED]:
        why = "another boot_aggregate: a kernel was started from the running one (kexec)"
        yield ima_outcome("kexec", Tier.WARNING, why, Pointer(entry=index, path="boot_aggregate"))
    if starts != [0]:
        return
    if "" in ima.columns.digest_algs:
        why = (
            "whether another kernel was started cannot be told: an entry of an unknown template may be a boot_aggregate"
        )
        yield ima_outcome("kexec", Tier.WARNING, why, Pointer(entry=ima.columns.digest_algs.index("")))
        return
    yield ima_outcome("kexec", Tier.AFFIRMING, "one kernel since the boot: boot_aggregate starts the list, once")
