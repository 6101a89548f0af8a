"""What agent and Verifier say to each other (docs/reference/protocol.md), decoded and not yet believed."""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.model.digest import HashAlg

PROTOCOL = 1
"""The version spoken here."""
SPOKEN = frozenset({PROTOCOL - 1, PROTOCOL} - {0})
"""Versions that requests may have: this one and the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The TPM, as the node says."""

    manufacturer: str
    model: str
    firmware: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolRequest:
    """A node that wants to enrol. banks: active PCR banks by number, and whether firmware filled them.

    ek, ak: TPM2B_PUBLIC; certificates: contents of NV indices.
    """

    version: int
    name: str
    role: str
    token: str | None
    ek: bytes
    certificates: Mapping[int, bytes]
    ak: bytes
    banks: Mapping[int, bool]
    product: Product
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateRequest:
    """The answer to a credential."""

    version: int
    enrolment: bytes
    secret: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeRequest:
    """A node that has no challenge to answer."""

    version: int
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBoot:
    """Full logs as bytes; None or empty where the machine has none."""

    boot_log: bytes | None = None
    launch_log: bytes | None = None
    command_line: bytes | None = None
    other_boot_logs: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SentIma:
    """IMA entries from index `first` on, in the kernel's binary form."""

    first: int
    entries: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRequest:
    """One attestation. pcrs: bank number to the values of the challenged selection, one behind the other.

    posture_digest: instead of `posture`, the SHA-256 of the one that the Verifier holds.
    """

    version: int
    node: str
    nonce: bytes
    attest: bytes
    signature: bytes
    pcrs: Mapping[int, bytes]
    boot: SentBoot | None
    ima: SentIma | None
    posture: bytes | None
    posture_digest: bytes | None
    agent: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the Verifier holds of a node's boot."""

    reset_count: int
    restart_count: int
    ima_entries: int
    posture_digest: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A challenge for a node. banks: all PCRs of them; expires_in: seconds; due_in: seconds until it is to answer."""

    nonce: bytes
    banks: tuple[HashAlg, ...]
    expires_in: int
    due_in: float
    held: Held | None
