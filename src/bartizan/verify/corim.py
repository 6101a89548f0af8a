"""Whether a CoRIM may be used: signed by a given key, within its time, under a profile whose rules it keeps."""

from collections.abc import Iterable
from dataclasses import dataclass

from bartizan.errors import VerifyError
from bartizan.formats.corim import SignedCorim, decode_corim
from bartizan.formats.key_file import NamedKey
from bartizan.model.corim import Corim, Signer, Validity
from bartizan.verify.corim_profile import check_profile
from bartizan.verify.cose import verify_cose

CHECK = "corim.signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCorim:
    """A CoRIM that may be used; `signer` is who the signed headers name, None when it came unsigned."""

    corim: Corim
    signer: Signer | None


def verify_corim(signed: SignedCorim, keys: Iterable[NamedKey], *, now: float) -> VerifiedCorim:
    """Verify a signed CoRIM; draft-ietf-rats-corim-11, 4.2 and 8.2.1.

    Steps: (1) one of the keys signed it; (2) what was signed is a CoRIM; (3) neither its signature's nor its own time
    is over or still to come; (4) it keeps its profile's rules. now: seconds since 1970 UTC.

    Raises:
        VerifyError: (1), (3) or (4) fails. DecodeError: (2) does.
    """
    payload = _payload(signed, keys)  # (1)
    corim = decode_corim(payload)  # (2)
    _check_time("the signature", signed.signer.validity, now)  # (3)
    return VerifiedCorim(corim=accept_corim(corim, now=now).corim, signer=signed.signer)  # (3) (4)


def accept_corim(corim: Corim, *, now: float) -> VerifiedCorim:
    """The same for a CoRIM that nobody signed and that the operator vouches for by importing it: (3) and (4).

    Raises:
        VerifyError: one of them fails.
    """
    _check_time("the CoRIM", corim.validity, now)
    check_profile(corim)
    return VerifiedCorim(corim=corim, signer=None)


def _payload(signed: SignedCorim, keys: Iterable[NamedKey]) -> bytes:
    failed = VerifyError(CHECK, "no key is given")
    for named in keys:
        try:
            return verify_cose(signed.message, named.key).payload
        except VerifyError as error:
            failed = VerifyError(CHECK, error.why)
    raise failed


def _check_time(what: str, validity: Validity | None, now: float) -> None:
    if validity is None:
        return
    if now > validity.not_after or (validity.not_before is not None and now < validity.not_before):
        raise VerifyError("corim.validity", f"{what} is valid from {validity.not_before} to {validity.not_after} only")
