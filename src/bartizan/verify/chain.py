"""From an EK certificate to an accepted TPM CA (RFC 5280, 6.1). It asks nobody about revocation and fetches nothing.

Issuers come from the accepted anchors, the operator's intermediates and, last, the chain that the node sent along.
Anchors and intermediates must be valid at the time like any other certificate: vendors' roots do expire.
"""

from datetime import datetime

from bartizan.errors import VerifyError
from bartizan.model.certificate import Certificate, RootKind, TrustAnchors
from bartizan.verify.x509_signature import key_fault, signature_fault

CHECK = "identity.ek-chain"

MAX_PATH = 8
"""Certificates of one path, EK certificate and anchor included; the longest known (on-die CAs) has six."""
MAX_PRESENTED = 16
"""Certificates that a node may send along."""
MAX_SIGNATURE_CHECKS = 32
"""Signatures checked for one EK certificate: four times the longest path."""

EK_PURPOSE = "2.23.133.8.1"
"""tcg-kp-EKCertificate; TCG OID Registry, 2.23.133.8."""
ANY_PURPOSE = "2.5.29.37.0"
MAX_NAME = 200
"""Characters of a name that a reason repeats."""

Path = tuple[Certificate, ...]


def verify_chain(
    leaf: Certificate, *, presented: tuple[Certificate, ...], anchors: TrustAnchors, now: datetime
) -> tuple[RootKind, Path]:
    """The kind of the anchor that a valid path ends in, and the path from the EK certificate up to it.

    (1) the EK certificate is valid now, has an acceptable key, no unknown critical extension, and is made for an EK;
    (2) each issuer's subject is, byte for byte, the issuer name below it; (3) it is valid now; (4) it is a CA that may
    sign certificates, for EKs, at this depth; (5) it has no unknown critical extension and an acceptable key; (6) its
    key verifies the exact signed bytes below it; (7) the last one is an anchor; (8) within `MAX_PATH` certificates and
    `MAX_SIGNATURE_CHECKS`.

    Raises:
        VerifyError: no such path; the reason is that of the path which came furthest.
    """
    if len(presented) > MAX_PRESENTED:
        raise VerifyError(CHECK, f"at most {MAX_PRESENTED} chain certificates expected, found {len(presented)}")
    fault = _fault(leaf, role="EK certificate", now=now)  # (1)
    if fault is not None:
        raise VerifyError(CHECK, fault)
    refused: list[tuple[int, str]] = []
    unfinished: list[Path] = [(leaf,)]
    checks = 0
    while unfinished:
        path = unfinished.pop()
        for kind, issuer in _issuers(path, presented=presented, anchors=anchors, refused=refused):  # (2)
            reason = _issuer_fault(issuer, path, kind=kind, now=now)  # (3) (4) (5)
            if reason is None:
                checks += 1
                if checks > MAX_SIGNATURE_CHECKS:  # (8)
                    raise VerifyError(CHECK, f"no path within {MAX_SIGNATURE_CHECKS} signature checks")
                reason = _signature_reason(path[-1], issuer)  # (6)
            if reason is not None:
                refused.append((len(path), reason))
            elif kind is not None:  # (7)
                return kind, (*path, issuer)
            else:
                unfinished.append((*path, issuer))
    raise VerifyError(CHECK, max(refused, key=lambda entry: entry[0])[1])


def _issuers(
    path: Path, *, presented: tuple[Certificate, ...], anchors: TrustAnchors, refused: list[tuple[int, str]]
) -> list[tuple[RootKind | None, Certificate]]:
    """Who may have issued the last certificate, the likeliest first; says why when there is nobody."""
    child = path[-1]
    known: list[tuple[RootKind | None, Certificate]] = list(anchors.anchors)
    known += [(None, certificate) for certificate in (*anchors.intermediates, *presented)]
    found = [(kind, issuer) for kind, issuer in known if issuer.subject == child.issuer and issuer not in path]
    if not found:
        refused.append((len(path), f"issuer {child.issuer_text[:MAX_NAME]} is not among the accepted CAs"))
    elif len(path) == MAX_PATH:  # (8)
        refused.append((len(path), f"the path is longer than {MAX_PATH} certificates"))
        return []
    return sorted(found, key=lambda entry: entry[1].subject_key_id != child.authority_key_id)


def _issuer_fault(issuer: Certificate, path: Path, *, kind: RootKind | None, now: datetime) -> str | None:
    role = "intermediate CA" if kind is None else "accepted CA"
    fault = _fault(issuer, role=role, now=now)
    if fault is not None:
        return fault
    name = f"{role} {_name(issuer)}"
    if not issuer.is_ca:
        return f"CA flag missing: {name} may not issue certificates"
    if issuer.key_usage is not None and "keyCertSign" not in issuer.key_usage:
        return f"keyCertSign missing: {name} may not sign certificates"
    below = sum(certificate.subject != certificate.issuer for certificate in path[1:])
    if issuer.path_length is not None and below > issuer.path_length:
        return f"path length: {name} allows {issuer.path_length} CAs below it, found {below}"
    return None


def _fault(certificate: Certificate, *, role: str, now: datetime) -> str | None:
    """What is wrong with a certificate in itself."""
    name = f"{role} {_name(certificate)}"
    if now > certificate.not_after:
        return f"{name} expired on {certificate.not_after:%Y-%m-%d}"
    if now < certificate.not_before:
        return f"{name} is valid only from {certificate.not_before:%Y-%m-%d} on"
    if certificate.unknown_critical:
        return f"{name} has a critical extension that is not understood: {certificate.unknown_critical[0]}"
    purposes = certificate.extended_key_usage
    if purposes and not {EK_PURPOSE, ANY_PURPOSE} & set(purposes):
        return f"{name} is for other purposes than EK certificates: {purposes[0]}"
    fault = key_fault(certificate.key)
    return None if fault is None else f"{name}: {fault}"


def _signature_reason(child: Certificate, issuer: Certificate) -> str | None:
    fault = signature_fault(child, issuer.key)
    return None if fault is None else f"{fault}: {_name(child)} as signed by {_name(issuer)}"


def _name(certificate: Certificate) -> str:
    return certificate.subject_text[:MAX_NAME] or f"(no subject, serial {certificate.serial:x})"
