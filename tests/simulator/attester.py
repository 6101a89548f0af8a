"""A node that speaks the true protocol (docs/reference/protocol.md) with a TPM of software: one of many, or a bad one.

Its boot is a recorded one that goes on; its messages are CBOR as an agent would send them. Anything in them can be
changed on its way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from bartizan.formats.cbor import decode_cbor, encode_cbor
from bartizan.formats.tcg_log_writer import encode_agile_log
from bartizan.formats.tpm2 import encode_public
from bartizan.model.digest import PCR_COUNT, PcrBanks
from bartizan.model.tpm import PublicArea
from bartizan.verify.binding import bound_extra_data
from tests.simulator.live_boot import CLOCK, LiveBoot, live
from tests.simulator.quotes import ECDSA, SHA256, Signer, quote_of
from tests.simulator.tpm_identity import ak_of, ek_of, under
from tests.simulator.tpm_side import EkSide, split_sized

VERSION = 1
Document = dict[Any, Any]


def message(document: Mapping[Any, Any]) -> bytes:
    return encode_cbor(document)


def document(raw: bytes) -> Document:
    found = decode_cbor(raw)
    assert isinstance(found, dict)
    return found


@cache
def key_of(owner: str) -> ec.EllipticCurvePrivateKey:
    """The key of this owner, the same in every process."""
    return ec.derive_private_key(int.from_bytes(sha256(owner.encode()).digest()[:31], "big"), ec.SECP256R1())


@dataclass(frozen=True, kw_only=True)
class OwnedSigner(Signer):
    """An attestation key that follows from its owner's name."""

    @property
    def private(self) -> ec.EllipticCurvePrivateKey:
        return key_of(self.owner)


@dataclass(kw_only=True)
class Attester:
    """One node. entries: how much of its IMA list it has; clock: of its TPM, which goes on with each quote.

    keys: whose keys it has, its own by default; known_pcrs: what its TPM holds, where that is known already.
    """

    name: str
    role: str = "compute"
    boot: LiveBoot = field(default_factory=lambda: live("good"))
    entries: int | None = None
    clock: int = CLOCK
    uid: str = ""
    posture: bytes | None = None
    keys: str = ""
    known_pcrs: PcrBanks | None = None

    def __post_init__(self) -> None:
        owner = self.keys or self.name
        self.ak_signer = OwnedSigner(kind="p256", alg=ECDSA, hash_alg=SHA256, owner=f"ak of {owner}")
        self.ek_private = key_of(f"ek of {owner}")
        self.ak: PublicArea = ak_of(self.ak_signer.private)
        self.ek: PublicArea = ek_of(self.ek_private)

    @property
    def count(self) -> int:
        """How many IMA entries its kernel has measured."""
        return len(self.boot.entries) if self.entries is None else self.entries

    def enrol(self, token: str | None = None, **changes: object) -> Document:
        """An enrolment request."""
        request: Document = {
            "version": VERSION,
            "name": self.name,
            "role": self.role,
            "ek": encode_public(self.ek),
            "certificates": {},
            "ak": encode_public(self.ak),
            "banks": {int(bank): True for bank in self.boot.static},
            "product": {"manufacturer": "TEST", "model": "software", "firmware": 1},
            "agent": "test",
        }
        return request | ({} if token is None else {"token": token}) | changes

    def activate(self, opened: Document) -> Document:
        """The answer to a credential."""
        side = EkSide(private=self.ek_private, hash_name="sha256", aes_bits=128)
        credential, encrypted = (split_sized(opened[name])[0] for name in ("id_object", "encrypted_secret"))
        secret = side.activate(credential, encrypted, self.ak.name)
        return {"version": VERSION, "enrolment": opened["enrolment"], "secret": secret}

    def ask(self) -> Document:
        """A request for a challenge."""
        return {"version": VERSION, "node": self.uid}

    def evidence(self, challenge: Document, *, full: bool | None = None, **changes: object) -> Document:
        """An attestation: everything where nothing of this boot is held (or `full` says so), else what is new."""
        self.clock += 1000
        pcrs = self.known_pcrs or self.boot.pcrs(self.count)
        nonce, posture = challenge["nonce"], self.posture or b""
        made = quote_of(pcrs, signer=under(self.ek, self.ak), extra=bound_extra_data(self.uid, nonce, posture))
        made = replace(made, clock=self.clock, reset_count=self.boot.resets, restart_count=self.boot.restarts)
        attest = made.encode()
        request: Document = {
            "version": VERSION,
            "node": self.uid,
            "nonce": nonce,
            "attest": attest,
            "signature": self.ak_signer.sign(attest).encode(),
            "pcrs": {int(bank): b"".join(values[pcr] for pcr in range(PCR_COUNT)) for bank, values in pcrs.items()},
            "agent": "test",
        }
        if self.posture is not None:
            request["posture"] = self.posture
        return request | self._logs(challenge.get("held"), full) | changes

    def _logs(self, held: Document | None, full: bool | None) -> Document:
        same = held is not None and (held["reset_count"], held["restart_count"]) == (
            self.boot.resets,
            self.boot.restarts,
        )
        if full if full is not None else not same:
            log = {} if self.boot.log is None else {"boot_log": encode_agile_log(self.boot.log)}
            return {"boot": log, "ima": {"first": 0, "entries": self.boot.list_bytes(0, self.count)}}
        first = 0 if held is None else held["ima_entries"]
        return {"ima": {"first": first, "entries": self.boot.list_bytes(first, self.count)}}
