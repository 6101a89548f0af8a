"""The platform: who measures the first code, where the loader came from, and DMA protection as firmware reports it."""

from collections.abc import Iterator

from bartizan.appraise.context import Context
from bartizan.formats.inert import inert
from bartizan.model.boot_facts import BootWay
from bartizan.model.boot_log import POLICY_PCR
from bartizan.model.result import Finding, Pointer, Tier

ACM_LOCALITY = 3
H_CRTM_LOCALITY = 4
SAFE = frozenset({BootWay.DISK, BootWay.HTTPS})
MAX_PATH = 200
NOTICES = {
    b"DMA Protection Disabled": "the firmware started without DMA protection: a device could change what was measured",
    b"UEFI Debug Mode": "the firmware ran in debug mode",
}
"""What firmware measures into PCR 7 about itself, with a terminator or without."""


def first_step(context: Context) -> Iterator[Finding]:
    """platform.first-step: whether hardware measured the first code (PFP 1.06, 3.3.2), or nobody did."""
    boot = context.evidence.boot
    facts = boot.facts
    if boot.log is None or not boot.explains(0, context.bank):
        why = "who measured the first code is not known: PCR 0 is not explained"
        yield context.say("platform.first-step", Tier.NONE, why, Pointer(pcr=0))
        return
    said = inert("; ".join(dict.fromkeys(facts.first_step)))
    if facts.startup_locality == H_CRTM_LOCALITY:
        why = "a hardware CRTM measured the first code before the TPM was started (PCR 0 starts at locality 4)"
        yield context.say("platform.first-step", Tier.AFFIRMING, why, Pointer(pcr=0))
    elif facts.startup_locality == ACM_LOCALITY:
        why = "an authenticated code module started the TPM and measured the first code (PCR 0 starts at locality 3)"
        yield context.say("platform.first-step", Tier.AFFIRMING, f"{why}{': ' + said if said else ''}", Pointer(pcr=0))
    elif said:
        why = f"the log says that hardware measured the first code ({said}), but PCR 0 started as for software"
        yield context.say("platform.first-step", Tier.WARNING, why, Pointer(pcr=0))
    else:
        why = "nobody measures the first step here: the firmware's first code vouches for itself"
        yield context.say("platform.first-step", Tier.WARNING, why, Pointer(pcr=0))


def boot_source(context: Context) -> Iterator[Finding]:
    """platform.boot-source: whether the first loader came from where nobody can put another one on its way."""
    source = context.evidence.boot.facts.source
    if source is None:
        return
    at = Pointer(pcr=4, event=source.event)
    said = f"the firmware took its loader from {source.way.value}: {inert(source.untrusted_path, limit=MAX_PATH)}"
    if source.way not in SAFE:
        why = (
            f"{said}; nothing on this way shows who sent it, only Secure Boot and the Reference Values judge what came"
        )
        yield context.say("platform.boot-source", Tier.WARNING, why, at)
    elif source.option is None:
        why = f"{said}; that is the log's word, since no measured boot option names it"
        yield context.say("platform.boot-source", Tier.WARNING, why, at)
    else:
        why = f"{said}, as the measured boot option {inert(source.option)!r} has it"
        yield context.say("platform.boot-source", Tier.AFFIRMING, why, at)


def dma_protection(context: Context) -> Iterator[Finding]:
    """platform.dma-protection: firmware measures it when it leaves memory open to devices (PFP 1.06, 3.3.4.8).

    The notice is found by its digest: the log may give the event another type and other data.
    """
    for event in context.measured(POLICY_PCR):
        for notice, why in NOTICES.items():
            if context.vouches(event, notice) or context.vouches(event, notice + b"\0"):
                yield context.say("platform.dma-protection", Tier.WARNING, why, context.at(event))
