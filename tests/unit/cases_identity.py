"""Cases of identity, quote and clock. Not a test."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from cryptography.hazmat.primitives.asymmetric import rsa

from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.appraise.engine import refused
from bartizan.errors import VerifyError
from bartizan.formats.tpm2 import decode_attest, decode_signature
from bartizan.formats.x509 import decode_certificate
from bartizan.model.certificate import TrustAnchors
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import Activation, ReportedQuote
from bartizan.model.result import AttestationResult, State, Tier
from bartizan.model.tpm import Attribute, ClockInfo, Scheme
from bartizan.verify.freshness import check_clock
from tests.simulator.machine import AK, CHALLENGE, ENROLMENT, IDENTITY, NONCE, SIGNER, attested, good
from tests.simulator.quotes import ECDSA, SHA1, Quote, Signer, flipped, quote_of
from tests.simulator.tpm_ca import CA, SHA1_RSA, Shape, ca, ec_key, issue, rsa_key
from tests.simulator.tpm_identity import AK_ATTRIBUTES, EK, area, ek_of, key_of, under
from tests.unit.appraise_cases import ANYTHING, Case, Cases

OLD_ROOT = decode_certificate(issue(replace(ca("Old CA"), key=rsa_key("Old CA")), rsa_key("Old CA")))
OLD_CERTIFICATE = decode_certificate(issue(Shape(issuer="Old CA"), rsa_key("Old CA"), SHA1_RSA))


def identity(**changes: object) -> Callable[[], AttestationResult]:
    """The good machine under another identity; its quote stays what it is."""

    def judge() -> AttestationResult:
        return attested(replace(good().evidence(), identity=replace(IDENTITY, **changes))).result  # type: ignore[arg-type]  # by name

    return judge


def enrolled(**changes: object) -> Callable[[], AttestationResult]:
    """The good machine, of which the Verifier remembers something else."""
    return lambda: attested(good().evidence(), enrolment=replace(ENROLMENT, **changes)).result  # type: ignore[arg-type]  # by name


def quoted(
    quote: Quote, *, signer: Signer = SIGNER, signed: bytes | None = None, **changes: object
) -> AttestationResult:
    """The good machine with this quote, signed by its TPM unless something else was."""
    raw = quote.encode()
    signature = decode_signature(signer.sign(raw if signed is None else signed).encode())
    evidence = replace(good().evidence(), quote=ReportedQuote(attest=decode_attest(raw), signature=signature))
    if changes:
        evidence = replace(evidence, **changes)  # type: ignore[arg-type]  # by name
    return attested(evidence).result


def weakly_signed() -> AttestationResult:
    """A machine whose AK signs over SHA-1."""
    signer = Signer(kind="p256", alg=ECDSA, hash_alg=SHA1)
    ak = area(key_of(signer.private), AK_ATTRIBUTES, scheme=Scheme(alg=ECDSA, hash_alg=SHA1), symmetric=None)
    quote = quote_of(good().pcrs(), signer=under(EK, ak), extra=NONCE, hash_alg=SHA1)
    return quoted(quote, signer=signer, identity=replace(IDENTITY, ak=ak))


def turned_back() -> AttestationResult:
    """A service that was shown an older clock than last time."""
    now = ClockInfo(clock=1, reset_count=3, restart_count=0, safe=True)
    try:
        check_clock(replace(now, reset_count=4), now)
    except VerifyError as error:
        return refused(error, catalogue(), levels(), state=State.FRESH, policy=default_policy())
    raise AssertionError


def without_restriction() -> AttestationResult:
    """A machine whose AK signs anything."""
    ak = area(AK.key, AK_ATTRIBUTES & ~Attribute.RESTRICTED, scheme=AK.scheme, symmetric=None)
    quote = replace(good().quote(), signer=under(EK, ak))
    return quoted(quote, identity=replace(IDENTITY, ak=ak))


QUOTE = good().quote()
OTHER_EK = ek_of(ec_key("another TPM's"))
SHORT_KEY = rsa.generate_private_key(65537, 2048)

CASES: Cases = {
    "no EK certificate": Case(
        check="identity.ek-chain",
        tier=Tier.NONE,
        level=0,
        also=ANYTHING,
        result=identity(ek_certificate=None),
        says="there is no EK certificate",
    ),
    "the certificate of a CA that nobody accepts": Case(
        check="identity.ek-chain",
        tier=Tier.NONE,
        level=0,
        also=ANYTHING,
        result=enrolled(anchors=TrustAnchors(anchors=(), intermediates=())),
        says="",
    ),
    "another EK than the registered one": Case(
        check="identity.ek-chain",
        tier=Tier.NONE,
        level=0,
        also=ANYTHING,
        result=enrolled(registered_ek=OTHER_EK.name),
        says="is registered, found",
    ),
    "a registered EK": Case(
        check="identity.ek-chain",
        tier=Tier.AFFIRMING,
        level=4,
        result=enrolled(registered_ek=EK.name),
        says="registered beforehand",
    ),
    "another EK than in its certificate": Case(
        check="identity.ek-key",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=identity(ek=OTHER_EK),
        says="another key than the one in its certificate",
    ),
    "no EK": Case(
        check="identity.ek-key",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=identity(ek=None),
        says="no EK public area was sent",
    ),
    "an AK that is not restricted": Case(
        check="identity.ak-attributes",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=without_restriction,
        says="restricted is clear",
    ),
    "an AK of another TPM": Case(
        check="identity.ak-residency",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=partial(quoted, replace(QUOTE, signer=under(OTHER_EK, AK))),
        says="neither under this EK",
    ),
    "another AK than the enrolled one": Case(
        check="identity.ak-known",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=enrolled(ak_name=b"\0\x0b" + bytes(32)),
        says="another TPM poses as the enrolled node",
    ),
    "the enrolled AK": Case(
        check="identity.ak-known",
        tier=Tier.AFFIRMING,
        level=4,
        result=enrolled(ak_name=AK.name),
        says="the AK is the enrolled one",
    ),
    "an activation that was shown": Case(
        check="identity.activation",
        tier=Tier.AFFIRMING,
        level=4,
        result=enrolled(activation=Activation.SHOWN),
        says="credential activation showed",
    ),
    "an activation that was not shown": Case(
        check="identity.activation",
        tier=Tier.WARNING,
        level=4,
        result=enrolled(),
        says="activation not shown",
    ),
    "an EK certificate signed with SHA-1": Case(
        check="identity.certificate",
        tier=Tier.WARNING,
        level=4,
        says="is signed with SHA-1",
        result=lambda: (
            attested(
                replace(good().evidence(), identity=replace(IDENTITY, ek_certificate=OLD_CERTIFICATE)),
                enrolment=replace(
                    ENROLMENT,
                    anchors=TrustAnchors(anchors=((ENROLMENT.anchors.anchors[0][0], OLD_ROOT),), intermediates=()),
                ),
            ).result
        ),
    ),
    "an EK certificate with padding behind it": Case(
        check="identity.certificate",
        tier=Tier.AFFIRMING,
        level=4,
        says="as its maker does it",
        result=identity(ek_certificate=decode_certificate(issue(Shape(), CA) + b"\xff" * 64)),
    ),
    "a quote that was changed after it was signed": Case(
        check="quote.signature",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=partial(quoted, replace(QUOTE, firmware=1), signed=QUOTE.encode()),
        says="does not match",
    ),
    "an old quote": Case(
        check="quote.extra-data",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=partial(quoted, replace(QUOTE, extra=flipped(NONCE))),
        says="is not the challenge",
    ),
    "a quote of other PCRs": Case(
        check="quote.selection",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=partial(quoted, replace(QUOTE, selections=QUOTE.selections[:2])),
        says="the quote covers sha1: 0-23; sha256: 0-23",
    ),
    "PCR values that are made up": Case(
        check="quote.pcr-digest",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=partial(quoted, replace(QUOTE, digest=flipped(QUOTE.digest))),
        says="not the quoted ones",
    ),
    "a clock that was turned back": Case(
        check="quote.clock",
        tier=Tier.CONTRAINDICATED,
        level=0,
        also=ANYTHING,
        result=turned_back,
        says="resetCount went back",
    ),
    "a quote signed over SHA-1": Case(
        check="quote.strength",
        tier=Tier.WARNING,
        level=4,
        result=weakly_signed,
        says="SHA-1 strength",
    ),
    "a pinned SHA-1 bank": Case(
        check="quote.strength",
        tier=Tier.WARNING,
        level=2,
        also=ANYTHING,
        says="covers SHA-1 PCRs only",
        result=lambda: attested(good().evidence(), challenge=replace(CHALLENGE, pinned=HashAlg.SHA1)).result,
    ),
}
