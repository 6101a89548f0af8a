"""Enrolment by credential activation: only the TPM that holds both keys can answer. Randomness is an argument."""

import hmac

from bartizan.errors import VerifyError
from bartizan.model.certificate import TrustAnchors
from bartizan.model.evidence import Activation, Enrolment, ReportedIdentity
from bartizan.model.tpm import Credential
from bartizan.verify.credential import Entropy, make_credential

SECRET_BYTES = 32


def open_enrolment(identity: ReportedIdentity, *, secret: bytes, entropy: Entropy) -> Credential:
    """The challenge for a node that wants to enrol: a secret that opens only beside its EK, for its AK.

    Raises:
        VerifyError: it sent no EK, or one that no such challenge can be made for.
    """
    if identity.ek is None:
        raise VerifyError("identity.ek-key", "the node sent no endorsement key")
    return make_credential(identity.ek, ak_name=identity.ak.name, secret=secret, entropy=entropy)


def close_enrolment(identity: ReportedIdentity, *, secret: bytes, answer: bytes, anchors: TrustAnchors) -> Enrolment:
    """What the Verifier remembers of a node that opened the secret.

    Raises:
        VerifyError: the answer is not the secret: the keys are not in one TPM.
    """
    if not hmac.compare_digest(secret, answer):
        raise VerifyError("identity.ak-residency", "the activation's answer is not the secret that was sent")
    return Enrolment(anchors=anchors, ak_name=identity.ak.name, activation=Activation.SHOWN)
