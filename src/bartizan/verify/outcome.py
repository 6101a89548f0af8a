"""The findings verification itself makes: one row per check id, the same as in `data/checks` (a test compares)."""

from bartizan.model.result import NOWHERE, Anchor, Claim, Finding, Pointer, Tier

SUBJECTS: dict[str, tuple[Claim, Anchor]] = {
    "quote.signature": (Claim.INSTANCE_IDENTITY, Anchor.TPM),
    "quote.extra-data": (Claim.INSTANCE_IDENTITY, Anchor.TPM),
    "quote.selection": (Claim.INSTANCE_IDENTITY, Anchor.TPM),
    "quote.pcr-digest": (Claim.INSTANCE_IDENTITY, Anchor.TPM),
    "quote.clock": (Claim.INSTANCE_IDENTITY, Anchor.TPM),
    "quote.strength": (Claim.INSTANCE_IDENTITY, Anchor.TPM),
    "boot.log-present": (Claim.CONFIGURATION, Anchor.TPM),
    "boot.pcr-explained": (Claim.CONFIGURATION, Anchor.TPM),
    "boot.other-bank": (Claim.CONFIGURATION, Anchor.TPM),
    "boot.digest": (Claim.CONFIGURATION, Anchor.TPM),
    "boot.separator": (Claim.CONFIGURATION, Anchor.TPM),
    "boot.look-alike": (Claim.CONFIGURATION, Anchor.TPM),
    "boot.order": (Claim.CONFIGURATION, Anchor.TPM),
    "boot.after-exit": (Claim.EXECUTABLES, Anchor.TPM),
    "boot.locality": (Claim.HARDWARE, Anchor.TPM),
    "launch.explained": (Claim.EXECUTABLES, Anchor.TPM),
    "cc.registers-explained": (Claim.CONFIGURATION, Anchor.AGENT),
    "cc.quote-signature": (Claim.INSTANCE_IDENTITY, Anchor.AGENT),
    "cc.debug": (Claim.RUNTIME_OPAQUE, Anchor.AGENT),
}


def outcome(check: str, tier: Tier, why: str, at: Pointer = NOWHERE) -> Finding:
    """A finding of one of the checks above."""
    claim, anchor = SUBJECTS[check]
    return Finding(id=check, claim=claim, tier=tier, why=why, anchor=anchor, at=at)
