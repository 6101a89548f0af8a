"""An identity for tests: AK, EK and certificate of a TPM that does not exist; each test changes one thing."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from bartizan.formats.tpm2 import decode_public, encode_public
from bartizan.formats.x509 import decode_certificate
from bartizan.model.certificate import RootKind, TrustAnchors
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import Enrolment, ReportedIdentity, VerifiedIdentity
from bartizan.model.tpm import Alg, Attribute, Curve, EccKey, PublicArea, RsaKey, Scheme, Symmetric
from bartizan.verify.identity import TPM_RH_ENDORSEMENT, qualified_name, verify_identity
from tests.simulator.tpm_ca import NOW, PrivateKey, Shape, ca, ec_key, issue

AK_ATTRIBUTES = (
    Attribute.RESTRICTED
    | Attribute.SIGN_ENCRYPT
    | Attribute.FIXED_TPM
    | Attribute.FIXED_PARENT
    | Attribute.SENSITIVE_DATA_ORIGIN
    | Attribute.USER_WITH_AUTH
)
EK_ATTRIBUTES = (
    Attribute.RESTRICTED
    | Attribute.DECRYPT
    | Attribute.FIXED_TPM
    | Attribute.FIXED_PARENT
    | Attribute.SENSITIVE_DATA_ORIGIN
    | Attribute.ADMIN_WITH_POLICY
)
AES = Symmetric(alg=Alg.AES, key_bits=128, mode=Alg.CFB)
ECDSA = Scheme(alg=Alg.ECDSA, hash_alg=HashAlg.SHA256)


def key_of(private: PrivateKey) -> EccKey | RsaKey:
    """The TPM's form of a key."""
    if isinstance(private, ec.EllipticCurvePrivateKey):
        point = private.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (point.x, point.y))
        return EccKey(curve=Curve.NIST_P256, kdf=None, x=x, y=y)
    numbers = private.public_key().public_numbers()
    return RsaKey(bits=2048, exponent=0, modulus=numbers.n.to_bytes(256, "big"))


def area(
    key: EccKey | RsaKey, attributes: Attribute, *, scheme: Scheme | None, symmetric: Symmetric | None
) -> PublicArea:
    """A public area whose Name is right."""
    blank = PublicArea(
        raw=b"",
        name_alg=HashAlg.SHA256,
        attributes=attributes,
        policy=b"",
        symmetric=symmetric,
        scheme=scheme,
        key=key,
    )
    return decode_public(encode_public(blank))


def ak_of(private: PrivateKey, attributes: Attribute = AK_ATTRIBUTES) -> PublicArea:
    """The public area of an attestation key."""
    return area(key_of(private), attributes, scheme=ECDSA, symmetric=None)


def ek_of(private: PrivateKey, attributes: Attribute = EK_ATTRIBUTES) -> PublicArea:
    """The public area of an endorsement key."""
    return area(key_of(private), attributes, scheme=None, symmetric=AES)


ROOT = decode_certificate(issue(ca(), ec_key("Test TPM CA")))
ANCHORS = TrustAnchors(anchors=((RootKind.HARDWARE, ROOT),), intermediates=())
AK, EK = ak_of(ec_key("ak")), ek_of(ec_key("ek"))
CERTIFICATE = decode_certificate(issue(Shape(), ec_key("Test TPM CA")))


REPORTED = ReportedIdentity(ak=AK, ek=EK, ek_certificate=CERTIFICATE)
ENROLMENT = Enrolment(anchors=ANCHORS)


def under(ek: PublicArea, ak: PublicArea) -> bytes:
    """The qualified name of an AK that was made under this EK."""
    return qualified_name(qualified_name(TPM_RH_ENDORSEMENT, ek), ak)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An identity that holds; each test changes one thing."""

    reported: ReportedIdentity = REPORTED
    enrolment: Enrolment = ENROLMENT
    signer: bytes | None = None
    now: datetime = NOW

    def verify(self) -> VerifiedIdentity:
        """What verification makes of it; the signer is the right one unless another is given."""
        ek = self.reported.ek or EK
        signer = under(ek, self.reported.ak) if self.signer is None else self.signer
        return verify_identity(self.reported, qualified_signer=signer, enrolment=self.enrolment, now=self.now)
