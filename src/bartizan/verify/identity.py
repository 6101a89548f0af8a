"""Who is speaking: an attestation key that lives in the TPM whose endorsement key a CA, or the operator, vouches for.

It does not verify the quote: `qualified_signer` counts only if the quote it stands in is then verified with this AK.
"""

from datetime import datetime
from hmac import compare_digest

from bartizan.errors import VerifyError
from bartizan.model.certificate import VENDOR_HABITS, CertificateKey, KeyKind, RootKind
from bartizan.model.evidence import Activation, Enrolment, ReportedIdentity, VerifiedIdentity
from bartizan.model.result import Anchor, Claim, Finding, Tier
from bartizan.model.tpm import Attribute, AttributeNames, Curve, EccKey, PublicArea, RsaKey
from bartizan.verify.chain import Path, verify_chain
from bartizan.verify.roca import is_roca
from bartizan.verify.x509_signature import MIN_RSA_BITS

TPM_RH_ENDORSEMENT = bytes.fromhex("4000000b")
"""The endorsement hierarchy's handle, which is its Name; TPM 2.0 Part 2, 7.4 and Part 1, 16."""
DEFAULT_EXPONENT = 65537
"""What exponent 0 stands for; TPM 2.0 Part 2, 12.2.3.5."""

AK_SET = (
    Attribute.RESTRICTED,
    Attribute.SIGN_ENCRYPT,
    Attribute.FIXED_TPM,
    Attribute.FIXED_PARENT,
    Attribute.SENSITIVE_DATA_ORIGIN,
)
AK_CLEAR = (Attribute.DECRYPT,)
EK_SET = (Attribute.RESTRICTED, Attribute.DECRYPT, Attribute.FIXED_TPM, Attribute.FIXED_PARENT)
EK_CLEAR = (Attribute.SIGN_ENCRYPT,)

CURVE_NAMES: dict[int, str] = {Curve.NIST_P256: "secp256r1", Curve.NIST_P384: "secp384r1", Curve.NIST_P521: "secp521r1"}

ANCHORS = {
    "identity.ak-attributes": Anchor.TPM,
    "identity.ek-key": Anchor.SIGNED,
    "identity.ek-chain": Anchor.SIGNED,
    "identity.certificate": Anchor.SIGNED,
    "identity.ak-residency": Anchor.TPM,
    "identity.activation": Anchor.TPM,
    "identity.ak-known": Anchor.TPM,
}
"""What vouches for each check here."""


def verify_identity(
    reported: ReportedIdentity, *, qualified_signer: bytes, enrolment: Enrolment, now: datetime
) -> VerifiedIdentity:
    """The identity, proved; `qualified_signer` is the signed one of a quote by this AK, `now` an aware time.

    (1) `identity.ak-attributes`: the AK is a restricted signing key made in the TPM and fixed to it, with a scheme
    (TPM 2.0 Part 1, 25 and 31); (2) `identity.ek-key`: there is an EK, a restricted storage key fixed to the TPM,
    the same key as in its certificate; no key is short or carries the ROCA fingerprint; (3) `identity.ek-chain`: the EK
    is the registered one, or its certificate leads to an accepted CA; (4) `identity.ak-residency`: the signer's
    qualified name places the AK under this EK, or, when activation was shown, at least in the endorsement hierarchy
    (Part 1, 16); (5) `identity.ak-known`: the AK is the enrolled one, where one is enrolled.

    Raises:
        VerifyError: the first of these that does not hold.
    """
    ak = reported.ak
    attributes = ak_attributes(ak)  # (1)
    ek, key = _ek_key(reported)  # (2)
    kind, path, origin = _ek_origin(reported, ek, enrolment=enrolment, now=now)  # (3)
    residency = _residency(ak, ek, qualified_signer=qualified_signer, activation=enrolment.activation)  # (4)
    known = _known(ak, enrolment)  # (5)
    return VerifiedIdentity(
        ak=ak,
        ek=ek,
        root_kind=kind,
        path=path,
        activation=enrolment.activation,
        findings=(attributes, key, origin, *_certificate_notes(path), *residency, *known),
    )


def verify_endorsement(reported: ReportedIdentity, *, enrolment: Enrolment, now: datetime) -> tuple[Finding, ...]:
    """What can be proved of an identity before its TPM has signed anything: steps (1) to (3) of `verify_identity`.

    Raises:
        VerifyError: the first of these that does not hold.
    """
    attributes = ak_attributes(reported.ak)  # (1)
    ek, key = _ek_key(reported)  # (2)
    _, path, origin = _ek_origin(reported, ek, enrolment=enrolment, now=now)  # (3)
    return (attributes, key, origin, *_certificate_notes(path))


def qualified_name(parent: bytes, area: PublicArea) -> bytes:
    """An object's: nameAlg ‖ H(QN of its parent ‖ Name). A primary object's parent is its hierarchy. Part 1, 16."""
    return area.name_alg.to_bytes(2, "big") + area.name_alg.digest(parent + area.name)


def _finding(check: str, why: str, *, tier: Tier = Tier.AFFIRMING) -> Finding:
    return Finding(id=check, claim=Claim.INSTANCE_IDENTITY, tier=tier, why=why, anchor=ANCHORS[check])


def _attribute_fault(area: PublicArea, *, wanted: tuple[Attribute, ...], unwanted: tuple[Attribute, ...]) -> str | None:
    wrong = [f"{AttributeNames[one]} is clear" for one in wanted if one not in area.attributes]
    wrong += [f"{AttributeNames[one]} is set" for one in unwanted if one in area.attributes]
    return ", ".join(wrong) or None


def ak_attributes(ak: PublicArea) -> Finding:
    """The key signs only what its TPM made: a restricted signing key, made in it and fixed to it; Part 1, 25 and 31.

    Raises:
        VerifyError: `identity.ak-attributes` does not hold.
    """
    check = "identity.ak-attributes"
    fault = _attribute_fault(ak, wanted=AK_SET, unwanted=AK_CLEAR)
    if fault is None and ak.scheme is None:
        fault = "it has no signing scheme"
    if fault is not None:
        raise VerifyError(check, f"the AK is no restricted signing key fixed to its TPM: {fault}")
    return _finding(check, "the AK is a restricted signing key, made in its TPM and fixed to it")


def _ek_key(reported: ReportedIdentity) -> tuple[PublicArea, Finding]:
    check, ek = "identity.ek-key", reported.ek
    if ek is None:
        raise VerifyError(check, "no EK public area was sent")
    fault = _attribute_fault(ek, wanted=EK_SET, unwanted=EK_CLEAR)
    if fault is None and ek.symmetric is None:
        fault = "it has no symmetric cipher"
    if fault is not None:
        raise VerifyError(check, f"the EK is no restricted storage key fixed to its TPM: {fault}")
    if reported.ek_certificate is not None and not same_key(ek, reported.ek_certificate.key):
        raise VerifyError(check, "the EK is another key than the one in its certificate")
    for name, area in (("EK", ek), ("AK", reported.ak)):
        weakness = _weakness(area)
        if weakness is not None:
            raise VerifyError(check, f"the {name} {weakness}")
    return ek, _finding(check, "the EK is a restricted storage key; neither EK nor AK is weak")


def same_key(area: PublicArea, certified: CertificateKey) -> bool:
    """A TPM's public area and a certificate name the same public key."""
    key = area.key
    if isinstance(key, RsaKey):
        numbers = int.from_bytes(key.modulus, "big"), key.exponent or DEFAULT_EXPONENT
        return certified.kind is KeyKind.RSA and numbers == (certified.modulus, certified.exponent)
    point = CURVE_NAMES.get(key.curve), int.from_bytes(key.x, "big"), int.from_bytes(key.y, "big")
    return certified.kind is KeyKind.EC and point == (certified.curve, certified.x, certified.y)


def _weakness(area: PublicArea) -> str | None:
    key = area.key
    if isinstance(key, EccKey):
        return None if key.curve in CURVE_NAMES else f"is on curve 0x{key.curve:04x}, which is not accepted"
    modulus = int.from_bytes(key.modulus, "big")
    if modulus.bit_length() < MIN_RSA_BITS:
        return f"is an RSA key of {modulus.bit_length()} bits; at least {MIN_RSA_BITS} expected"
    return "carries the ROCA fingerprint (CVE-2017-15361)" if is_roca(modulus) else None


def _ek_origin(
    reported: ReportedIdentity, ek: PublicArea, *, enrolment: Enrolment, now: datetime
) -> tuple[RootKind | None, Path, Finding]:
    check = "identity.ek-chain"
    if enrolment.registered_ek is not None:
        if not compare_digest(enrolment.registered_ek, ek.name):
            raise VerifyError(check, f"EK {enrolment.registered_ek.hex()} is registered, found {ek.name.hex()}")
        return None, (), _finding(check, "the EK was registered beforehand")
    if reported.ek_certificate is None:
        raise VerifyError(check, "there is no EK certificate, and no EK was registered beforehand")
    kind, path = verify_chain(reported.ek_certificate, presented=reported.chain, anchors=enrolment.anchors, now=now)
    why = f"the EK certificate leads to an accepted CA ({kind.value}): {path[-1].subject_text}"
    return kind, path, _finding(check, why)


def _certificate_notes(path: Path) -> list[Finding]:
    """What to say of the certificates below the anchor, whose own signature nobody relies on."""
    check, notes = "identity.certificate", []
    for certificate in path[:-1]:
        who = certificate.subject_text or "the EK certificate"
        if certificate.signature_hash == "sha1":
            notes.append(_finding(check, f"{who} is signed with SHA-1", tier=Tier.WARNING))
        odd = [repair for repair in certificate.repairs if repair not in VENDOR_HABITS]
        if odd:
            notes.append(_finding(check, f"{who} is oddly encoded: {'; '.join(odd)}", tier=Tier.WARNING))
        elif certificate.repairs:
            notes.append(_finding(check, f"{who}, as its maker does it: {'; '.join(certificate.repairs)}"))
    return notes


def _residency(
    ak: PublicArea, ek: PublicArea, *, qualified_signer: bytes, activation: Activation
) -> tuple[Finding, Finding]:
    check = "identity.ak-residency"
    under_ek = compare_digest(qualified_signer, qualified_name(qualified_name(TPM_RH_ENDORSEMENT, ek), ak))
    primary = compare_digest(qualified_signer, qualified_name(TPM_RH_ENDORSEMENT, ak))
    shown = activation is Activation.SHOWN
    if not under_ek and not primary:
        raise VerifyError(check, "the qualified signer places the AK neither under this EK nor in its hierarchy")
    if primary and not shown:
        raise VerifyError(check, "the AK is a primary key, which says nothing of this EK without credential activation")
    place = "under the EK" if under_ek else "in the endorsement hierarchy"
    return (
        _finding(check, f"the TPM's qualified signer places the AK {place}"),
        _activation_finding(shown=shown),
    )


def _activation_finding(*, shown: bool) -> Finding:
    check = "identity.activation"
    if shown:
        return _finding(check, "credential activation showed AK and EK in one TPM")
    why = "activation not shown: the qualified name fits, but it binds only signers that are TPMs"
    return _finding(check, why, tier=Tier.WARNING)


def _known(ak: PublicArea, enrolment: Enrolment) -> tuple[Finding, ...]:
    check = "identity.ak-known"
    if enrolment.ak_name is None:
        return ()
    if not compare_digest(enrolment.ak_name, ak.name):
        raise VerifyError(check, f"another TPM poses as the enrolled node: AK {ak.name.hex()}")
    return (_finding(check, "the AK is the enrolled one"),)
