"""Who a node says it is, out of the NV contents that it sent. It proves nothing."""

from bartizan.collect.identity import CHAIN_FIRST, CHAIN_LAST, EK_CERTIFICATES
from bartizan.errors import DecodeError
from bartizan.formats.tpm2 import decode_public
from bartizan.formats.x509 import decode_certificate, decode_certificates
from bartizan.model.certificate import Certificate
from bartizan.model.evidence import ReportedIdentity
from bartizan.model.protocol import EnrolRequest
from bartizan.model.tpm import PublicArea
from bartizan.verify.identity import same_key


def reported_identity(request: EnrolRequest) -> ReportedIdentity:
    """Keys and certificates of an enrolment, decoded; the EK's certificate is the one that certifies this EK.

    Raises:
        DecodeError: a key is none; the only certificates that could be the EK's, or its chain, are none.
    """
    ek = decode_public(request.ek)
    chain = b"".join(
        contents for index, contents in sorted(request.certificates.items()) if CHAIN_FIRST <= index <= CHAIN_LAST
    )
    return ReportedIdentity(
        ak=decode_public(request.ak),
        ek=ek,
        ek_certificate=_ek_certificate(request, ek),
        chain=decode_certificates(chain) if chain else (),
    )


def _ek_certificate(request: EnrolRequest, ek: PublicArea) -> Certificate | None:
    """The certificate of this EK; if none is, whichever there is, for verification to say what is wrong with it."""
    found: Certificate | None = None
    broken: DecodeError | None = None
    for index in EK_CERTIFICATES:
        if index in request.certificates:
            try:
                certificate = decode_certificate(request.certificates[index])
            except DecodeError as error:
                broken = broken or error
                continue
            if same_key(ek, certificate.key):
                return certificate
            found = found or certificate
    if found is None and broken is not None:
        raise broken
    return found
