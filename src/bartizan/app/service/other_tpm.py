"""Evidence that another TPM signed under a node's id: a refusal that says what may have happened to the machine.

It judges nothing: the refusal stands whatever is said of it. What it says rests on a name in evidence that nobody has
proved, and on whether the node's own TPM goes on attesting.
"""

from bartizan.app.service.clock import Now
from bartizan.app.service.identity import reported_identity
from bartizan.app.service.memory import Node
from bartizan.errors import DecodeError, SenderError, VerifyError
from bartizan.formats.agent_message import decode_enrol
from bartizan.formats.tpm2 import decode_attest
from bartizan.verify.identity import TPM_RH_ENDORSEMENT, qualified_name

SIGNED_BY_ANOTHER = frozenset({"quote.signature", "identity.ak-residency"})
"""Checks that fail where another key than the node's signed."""


def named(error: SenderError, node: Node, attest: bytes, *, now: Now, late: int) -> SenderError:
    """The refusal, with what happened where another TPM signed. late: seconds behind its due time until a node is so.

    The node remembers at how many accepted attestations another TPM was first seen: only a later one of its own shows
    that both run.
    """
    if not isinstance(error, VerifyError) or error.check not in SIGNED_BY_ANOTHER or _is_own(node, attest):
        return error
    accepted, due = node.progress.accepted, node.progress.due
    if node.other_since is None:
        node.other_since = accepted
    who = f"another TPM answers as {node.record.name}"
    if accepted > node.other_since:
        why = f"{who}, whose own goes on attesting: its disk was cloned into another machine"
    elif now.milliseconds > due + late * 1000:
        why = f"{who}, whose own is silent: its TPM was swapped or cleared, or its disk was moved"
    else:
        why = f"{who}: its TPM was swapped or cleared, or its disk was cloned"
    return VerifyError(error.check, f"{why} ({error.why})")


def _is_own(node: Node, attest: bytes) -> bool:
    """The signer that a quote names is the enrolled key, or cannot be told."""
    try:
        signer = decode_attest(attest).qualified_signer
        identity = reported_identity(decode_enrol(node.record.identity))
    except DecodeError:
        return True
    if identity.ek is None:
        return True
    parents = (TPM_RH_ENDORSEMENT, qualified_name(TPM_RH_ENDORSEMENT, identity.ek))
    return signer in {qualified_name(parent, identity.ak) for parent in parents}
