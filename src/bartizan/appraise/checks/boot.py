"""Boot log checks that verification leaves to appraisal: how strong the explanation of each PCR is."""

from collections.abc import Iterator

from bartizan.appraise.context import Context
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import VerifiedBoot
from bartizan.model.result import Finding, Pointer, Tier


def strongest(boot: VerifiedBoot) -> dict[int, str]:
    """For each PCR that a log explains the strongest bank in which it does: longest digest first, SHA-1 last."""
    found: dict[int, HashAlg] = {}
    for each in boot.explanations:
        if each.explained and each.events:
            best = found.get(each.pcr, each.bank)
            found[each.pcr] = max(best, each.bank, key=lambda bank: bank.size)
    return {pcr: bank.label for pcr, bank in sorted(found.items())}


def strength(context: Context) -> Iterator[Finding]:
    """boot.strength: which bank explains the boot PCRs, and how strong its hash is."""
    boot = context.evidence.boot
    if boot.log is None:
        return
    stronger = sorted({e.bank.label for e in boot.explanations if e.explained and e.events and e.bank != HashAlg.SHA1})
    if stronger:
        yield context.say("boot.strength", Tier.AFFIRMING, f"boot PCRs are explained in {', '.join(stronger)}")
        return
    why = "boot PCRs are explained in the SHA-1 bank only: a forged log with the same SHA-1 digests is conceivable"
    yield context.say("boot.strength", Tier.WARNING, why, Pointer(bank=HashAlg.SHA1.label))
