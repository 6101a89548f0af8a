"""What the service needs of a judged boot to go on with it after a restart, without judging all of it again."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedState:
    """A judged boot, so that its next quote can be held against it.

    boot: the database's number of it; reset_count, restart_count: of the quote it was judged with; pcrs: SHA-256 of
    that quote's PCRs of boot and IMA; entries, matched: of its IMA list, None where there is none; node_start: how many
    entries stand before the list that the node has now; posture: SHA-256 of the posture document; rules: what names the
    rules it was judged by; judged_at: when, in milliseconds since 1970 UTC; document, stuck: SHA-256 of the result and
    of the findings that stick, as they are kept.
    """

    boot: int
    reset_count: int
    restart_count: int
    pcrs: bytes
    entries: int | None
    matched: int | None
    node_start: int
    posture: bytes | None
    rules: bytes
    judged_at: int
    document: bytes
    stuck: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptState:
    """A sealed state as it was kept, with what it speaks of.

    attest, signature, pcrs, nonce: the quote accepted last, as in `KeptBoot`; boot, posture: the database's numbers of
    the boot and of the posture document; posture_digest: SHA-256 of that, as it says; verdict: what the verdict is
    known by; given_at: when it was last, in milliseconds since 1970 UTC; document: the result, stuck: the findings that
    stick, both JSON.
    """

    sealed: bytes
    attest: bytes
    signature: bytes
    pcrs: Mapping[int, bytes]
    nonce: bytes
    boot: int
    posture: int | None
    posture_digest: bytes | None
    verdict: bytes
    given_at: int
    document: bytes
    stuck: bytes
