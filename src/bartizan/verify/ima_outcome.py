"""The findings that verification makes of an IMA list: one id each, the same as in `data/checks/ima.toml`."""

from bartizan.model.result import NOWHERE, Anchor, Claim, Finding, Pointer, Tier

CHECKS = frozenset(
    {
        "ima.replays",
        "ima.pending",
        "ima.strength",
        "ima.other-bank",
        "ima.other-pcr",
        "ima.template-digest",
        "ima.list-form",
        "ima.boot-aggregate",
        "ima.kexec",
    }
)


def ima_outcome(check: str, tier: Tier, why: str, at: Pointer = NOWHERE) -> Finding:
    """A finding of the check `ima.<check>`."""
    return Finding(id=f"ima.{check}", claim=Claim.FILE_SYSTEM, tier=tier, why=why, anchor=Anchor.TPM, at=at)
