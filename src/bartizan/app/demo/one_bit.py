"""The check of 2016 for comparison: stored PCR values, one bit, looked at when a workload is scheduled.

Modelled on OpenAttestation with Nova's TrustedFilter: the attestation server checks the quote's signature by the
registered key and its nonce, compares PCR 0 and 17–19 with a stored list in the only bank that TPM 1.2 had, and
answers trusted or untrusted. Nothing reads logs, and nobody asks about what is running already.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.errors import VerifyError
from bartizan.model.digest import HashAlg, PcrValues
from bartizan.model.evidence import ReportedEvidence
from bartizan.model.tpm import PublicArea
from bartizan.verify.quote import check_extra_data, check_pcr_digest, quoted
from bartizan.verify.signature import verify_signature

COMPARED = (0, 17, 18, 19)
"""Firmware, and the launch that tboot measured: what its default white lists held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHost:
    """A host's row in the attestation server: its registered key and its white-listed values."""

    ak: PublicArea
    values: PcrValues


def register(evidence: ReportedEvidence) -> StoredHost:
    """Store a host's key and values, as the administrator did when the host was installed."""
    return StoredHost(ak=evidence.identity.ak, values=_compared(evidence))


def _compared(evidence: ReportedEvidence) -> dict[int, bytes]:
    bank: Mapping[int, bytes] = evidence.untrusted_pcrs.get(HashAlg.SHA1, {})
    return {pcr: bank[pcr] for pcr in COMPARED if pcr in bank}


def is_trusted(host: StoredHost, evidence: ReportedEvidence, *, extra_data: bytes) -> bool:
    """The one bit that the scheduler would have been given."""
    attest = evidence.quote.attest
    try:
        verify_signature(host.ak.key, attest.raw, evidence.quote.signature, scheme=host.ak.scheme)
        body = quoted(attest)
        check_extra_data(attest, extra_data)
        check_pcr_digest(body, evidence.untrusted_pcrs, hash_alg=evidence.quote.signature.hash_alg)
    except VerifyError:
        return False
    return _compared(evidence) == host.values
