"""A list that a kexec began anew, joined to what this boot has shown before it. It judges no kernel and no file.

PCR 10 outlives a kexec, the kernel's list only where the kernel is built with CONFIG_IMA_KEXEC. Where it is not, what
is held of the boot and the list that the next kernel shows are one list, if nothing was measured in between. Steps:
(1) the TPM says that it was not reset since, and what is held led to PCR 10;
(2) a list that leads to PCR 10 by itself needs nothing: it was carried on, or no other kernel was started. That it
    begins like the one that is held says nothing: kernels that read the same files in the same order measure the same;
(3) a list begins with boot_aggregate; it follows on what is held, or once more on what stood before the kernel that
    runs (then it begins with all that is held of that kernel);
(4) what is joined this way leads to PCR 10 of the pinned bank, beyond what was quoted before: nothing is missing.
In every other case the list stays as it was sent. The PCR values are not proved here: whoever takes the list verifies
it with the quote that proves them (`verify_evidence`), and a wrong choice then leads to no PCR 10.
"""

from collections.abc import Iterator
from dataclasses import replace

from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import ReportedEvidence, VerifiedEvidence, VerifiedIma
from bartizan.model.ima import IMA_PCR, ImaColumns, ImaList
from bartizan.verify.ima_replay import Extensions, computable, match_bank
from bartizan.verify.ima_start import starts_in


def on_from(known: VerifiedEvidence, reported: ReportedEvidence) -> ReportedEvidence:
    """The evidence with its IMA list joined to that of the known evidence, where it follows on it."""
    same = known.quote.attest.clock.reset_count == reported.quote.attest.clock.reset_count
    if not same or known.ima is None or known.ima.matched is None or reported.ima is None:  # (1)
        return reported
    pinned = known.quote.pinned
    return replace(reported, ima=_joined(known.ima, reported.ima, reported.untrusted_pcrs, pinned=pinned))


def _joined(held: VerifiedIma, sent: ImaList, untrusted_pcrs: PcrBanks, *, pinned: HashAlg) -> ImaList:
    before, after = held.list.columns, sent.columns
    wanted = untrusted_pcrs.get(pinned, {})
    if sent.digest_size != held.list.digest_size or IMA_PCR not in wanted or not computable(pinned):
        return sent

    def covered(columns: ImaColumns) -> int:
        return match_bank(columns, pinned, wanted, Extensions(columns)).matched or 0

    if covered(after):  # (2)
        return sent
    for start in _places(held.list, after):
        whole = before[:start] + after
        if covered(whole) > max(start, (held.matched or 0) - 1):  # (4)
            return replace(sent, entries=whole, node_start=start)
    return sent


def _places(held: ImaList, after: ImaColumns) -> Iterator[int]:
    """(3) Where the list may begin within what is held, or behind it."""
    if starts_in(after[:1]) != [after.first]:
        return
    before, start = held.columns, held.node_start
    if start and _begins(after, before[start:]):
        yield start
    yield len(before)


def _begins(whole: ImaColumns, part: ImaColumns) -> bool:
    """A list's first entries are these."""
    return whole.template_data[: len(part)] == part.template_data and whole.pcrs[: len(part)] == part.pcrs
