"""TPM 2.0 structures between bytes and model: public areas, attestations, signatures, selections, credentials.

Layouts are those of TPM 2.0 Library Part 2 (Structures), revision 1.59. Nothing is verified here.
"""

from functools import lru_cache

from bartizan.errors import DecodeError
from bartizan.formats.reader import Reader
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import (
    Alg,
    Attest,
    Attribute,
    CertifyInfo,
    ClockInfo,
    Credential,
    EccKey,
    PcrSelection,
    PublicArea,
    QuoteInfo,
    RsaKey,
    Scheme,
    Signature,
    Structure,
    Symmetric,
)

MAX_PUBLIC = 2048
"""Bytes of a TPM2B_PUBLIC; an RSA-4096 area with a SHA-512 policy needs under 700."""
MAX_DIGEST = 64
"""Bytes of TPM2B_DIGEST: the longest hash, SHA-512; Part 2, 10.4.2."""
MAX_NAME = 2 + MAX_DIGEST
"""Bytes of TPM2B_NAME; Part 2, 10.5.3."""
MAX_DATA = 2 + MAX_DIGEST
"""Bytes of TPM2B_DATA, the qualifying data; Part 2, 10.4.3."""
MAX_RSA_KEY = 512
"""Bytes of an RSA modulus or signature: 4096 bits."""
MAX_ECC_COORDINATE = 66
"""Bytes of a coordinate: NIST P-521."""
MAX_SELECTIONS = 16
"""Banks in one selection (HASH_COUNT of the largest known TPM is 7)."""
MAX_SELECT_WIDTH = 4
"""Bytes of a PCR bitmap; PC Client TPMs use 3."""
MAX_ATTEST = 2048
"""Bytes of a TPMS_ATTEST: sixteen selections with everything else at its limit stay below."""
MAX_ID_OBJECT = 2 + MAX_DIGEST + 2 + MAX_DIGEST
"""Bytes of a TPMS_ID_OBJECT: integrity HMAC and encrypted credential; Part 2, 12.4.3."""
MAX_ENCRYPTED_SECRET = 512 + 4
"""Bytes of TPM2B_ENCRYPTED_SECRET: an RSA-4096 block or a P-521 point."""
KEYLESS_HASH_SCHEMES = frozenset({Alg.RSAES})


def hash_alg(reader: Reader, what: str) -> HashAlg:
    """A TPMI_ALG_HASH.

    Raises:
        DecodeError: the number is no hash algorithm that Bartizan computes.
    """
    start = reader.offset
    number = reader.u16(what)
    try:
        return HashAlg(number)
    except ValueError as error:
        raise DecodeError(what, start, f"0x{number:04x} is not a known hash algorithm") from error


def _symmetric(reader: Reader) -> Symmetric | None:
    alg = reader.u16("symmetric")
    if alg == Alg.NULL:
        return None
    return Symmetric(alg=alg, key_bits=reader.u16("symmetric.keyBits"), mode=reader.u16("symmetric.mode"))


def _scheme(reader: Reader, what: str) -> Scheme | None:
    alg = reader.u16(what)
    if alg == Alg.NULL:
        return None
    if alg in KEYLESS_HASH_SCHEMES:
        return Scheme(alg=alg, hash_alg=None)
    hashed = reader.u16(f"{what}.hashAlg")
    return Scheme(alg=alg, hash_alg=hashed, count=reader.u16(f"{what}.count") if alg == Alg.ECDAA else None)


def _rsa(reader: Reader) -> RsaKey:
    bits, exponent = reader.u16("rsa.keyBits"), reader.u32("rsa.exponent")
    start = reader.offset
    modulus = reader.sized16("rsa.modulus", limit=MAX_RSA_KEY)
    if len(modulus) * 8 != bits:
        raise DecodeError("rsa.modulus", start, f"{bits} bits declared, {len(modulus) * 8} found")
    return RsaKey(bits=bits, exponent=exponent, modulus=modulus)


def _ecc(reader: Reader) -> EccKey:
    curve, kdf = reader.u16("ecc.curveID"), _scheme(reader, "ecc.kdf")
    x = reader.sized16("ecc.x", limit=MAX_ECC_COORDINATE)
    return EccKey(curve=curve, kdf=kdf, x=x, y=reader.sized16("ecc.y", limit=MAX_ECC_COORDINATE))


def decode_public(raw: bytes) -> PublicArea:
    """A TPM2B_PUBLIC of an RSA or ECC key.

    Raises:
        DecodeError: another object type, a length that does not fit, bytes left over. Part 2, 12.2.4 and 12.2.5.
    """
    outer = Reader(raw)
    area = outer.sized16("TPM2B_PUBLIC.size", limit=MAX_PUBLIC)
    outer.finish("TPM2B_PUBLIC")
    reader = Reader(area)
    kind = reader.u16("type")
    if kind not in (Alg.RSA, Alg.ECC):
        raise DecodeError("TPMT_PUBLIC.type", 0, f"an RSA or ECC key expected, found 0x{kind:04x}")
    name_alg = hash_alg(reader, "nameAlg")
    attributes = Attribute(reader.u32("objectAttributes"))
    policy = reader.sized16("authPolicy", limit=MAX_DIGEST)
    symmetric, scheme = _symmetric(reader), _scheme(reader, "scheme")
    key = _rsa(reader) if kind == Alg.RSA else _ecc(reader)
    reader.finish("TPMT_PUBLIC")
    return PublicArea(
        raw=area,
        name_alg=name_alg,
        attributes=attributes,
        policy=policy,
        symmetric=symmetric,
        scheme=scheme,
        key=key,
    )


def encode_public(area: PublicArea) -> bytes:
    """The TPM2B_PUBLIC that decodes to this area."""
    return _sized(_public_body(area))


def _public_body(area: PublicArea) -> bytes:
    kind = Alg.RSA if isinstance(area.key, RsaKey) else Alg.ECC
    head = _u16(kind) + _u16(area.name_alg) + _u32(area.attributes) + _sized(area.policy)
    if area.symmetric is None:
        head += _u16(Alg.NULL)
    else:
        head += _u16(area.symmetric.alg) + _u16(area.symmetric.key_bits) + _u16(area.symmetric.mode)
    head += _encode_scheme(area.scheme)
    if isinstance(area.key, RsaKey):
        return head + _u16(area.key.bits) + _u32(area.key.exponent) + _sized(area.key.modulus)
    point = _sized(area.key.x) + _sized(area.key.y)
    return head + _u16(area.key.curve) + _encode_scheme(area.key.kdf) + point


def _encode_scheme(scheme: Scheme | None) -> bytes:
    if scheme is None:
        return _u16(Alg.NULL)
    encoded = _u16(scheme.alg)
    if scheme.hash_alg is not None:
        encoded += _u16(scheme.hash_alg)
    return encoded + (_u16(scheme.count) if scheme.count is not None else b"")


def _u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _sized(data: bytes) -> bytes:
    return _u16(len(data)) + data


def decode_selections(reader: Reader) -> tuple[PcrSelection, ...]:
    """A TPML_PCR_SELECTION at the reader's place.

    Raises:
        DecodeError: too many banks, a bank named twice, a bitmap of illegal width. Part 2, 10.6.2 and 10.9.7.
    """
    start = reader.offset
    count = reader.u32("pcrSelections.count")
    if count > MAX_SELECTIONS:
        raise DecodeError("pcrSelections.count", start, f"{count} is over the limit of {MAX_SELECTIONS}")
    found: list[PcrSelection] = []
    for _ in range(count):
        start = reader.offset
        alg, width = reader.u16("pcrSelection.hash"), reader.u8("sizeofSelect")
        if not 0 < width <= MAX_SELECT_WIDTH:
            raise DecodeError("sizeofSelect", start, f"1 to {MAX_SELECT_WIDTH} expected, found {width}")
        if any(alg == earlier.alg for earlier in found):
            raise DecodeError("pcrSelection.hash", start, f"bank 0x{alg:04x} is selected twice")
        found.append(PcrSelection(alg=alg, pcrs=_selected(reader.take(width, "pcrSelect")), width=width))
    return tuple(found)


@lru_cache(maxsize=64)
def _selected(bitmap: bytes) -> tuple[int, ...]:
    """The PCRs of a bitmap; the same few come from every node."""
    bits = int.from_bytes(bitmap, "little")
    return tuple(index for index in range(8 * len(bitmap)) if bits >> index & 1)


def encode_selections(selections: tuple[PcrSelection, ...]) -> bytes:
    """The TPML_PCR_SELECTION of these banks."""
    encoded = _u32(len(selections))
    for selection in selections:
        bitmap = sum(1 << index for index in selection.pcrs)
        encoded += _u16(selection.alg) + bytes([selection.width]) + bitmap.to_bytes(selection.width, "little")
    return encoded


def _clock(reader: Reader) -> ClockInfo:
    clock, reset, restart = reader.u64("clock"), reader.u32("resetCount"), reader.u32("restartCount")
    start = reader.offset
    safe = reader.u8("safe")
    if safe > 1:
        raise DecodeError("safe", start, f"YES (1) or NO (0) expected, found {safe}")
    return ClockInfo(clock=clock, reset_count=reset, restart_count=restart, safe=bool(safe))


def _attested(reader: Reader, kind: int) -> QuoteInfo | CertifyInfo:
    if kind == Structure.ATTEST_QUOTE:
        return QuoteInfo(selections=decode_selections(reader), pcr_digest=reader.sized16("pcrDigest", limit=MAX_DIGEST))
    if kind == Structure.ATTEST_CERTIFY:
        name = reader.sized16("name", limit=MAX_NAME)
        return CertifyInfo(name=name, qualified_name=reader.sized16("qualifiedName", limit=MAX_NAME))
    raise reader.refuse("TPMS_ATTEST.type", f"a quote or certify structure expected, found 0x{kind:04x}")


def decode_attest(raw: bytes) -> Attest:
    """A TPMS_ATTEST of a quote or certification. Its magic is decoded, not judged: verification does that.

    Raises:
        DecodeError: another structure, a length that does not fit, bytes left over. Part 2, 10.12.12.
    """
    if len(raw) > MAX_ATTEST:
        raise DecodeError("TPMS_ATTEST", 0, f"{len(raw)} bytes are over the limit of {MAX_ATTEST}")
    reader = Reader(raw)
    magic, kind = reader.u32("magic"), reader.u16("type")
    signer = reader.sized16("qualifiedSigner", limit=MAX_NAME)
    extra = reader.sized16("extraData", limit=MAX_DATA)
    clock, firmware = _clock(reader), reader.u64("firmwareVersion")
    body = _attested(reader, kind)
    reader.finish("TPMS_ATTEST")
    return Attest(
        raw=raw,
        magic=magic,
        type=kind,
        qualified_signer=signer,
        extra_data=extra,
        clock=clock,
        firmware_version=firmware,
        body=body,
    )


def encode_attest(attest: Attest) -> bytes:
    """The TPMS_ATTEST with these fields (`raw` is not used)."""
    clock = attest.clock
    head = _u32(attest.magic) + _u16(attest.type) + _sized(attest.qualified_signer) + _sized(attest.extra_data)
    head += _u64(clock.clock) + _u32(clock.reset_count) + _u32(clock.restart_count) + bytes([clock.safe])
    head += _u64(attest.firmware_version)
    if isinstance(attest.body, QuoteInfo):
        return head + encode_selections(attest.body.selections) + _sized(attest.body.pcr_digest)
    return head + _sized(attest.body.name) + _sized(attest.body.qualified_name)


def decode_signature(raw: bytes) -> Signature:
    """A TPMT_SIGNATURE: RSASSA, RSAPSS or ECDSA.

    Raises:
        DecodeError: another scheme, a length that does not fit, bytes left over. Part 2, 11.3.4.
    """
    reader = Reader(raw)
    alg = reader.u16("sigAlg")
    if alg in (Alg.RSASSA, Alg.RSAPSS):
        hashed = hash_alg(reader, "signature.hash")
        signature = Signature(alg=alg, hash_alg=hashed, rsa=reader.sized16("signature.sig", limit=MAX_RSA_KEY))
    elif alg == Alg.ECDSA:
        hashed, r = hash_alg(reader, "signature.hash"), reader.sized16("signature.r", limit=MAX_ECC_COORDINATE)
        s = reader.sized16("signature.s", limit=MAX_ECC_COORDINATE)
        signature = Signature(alg=alg, hash_alg=hashed, r=r, s=s)
    else:
        raise DecodeError("sigAlg", 0, f"RSASSA, RSAPSS or ECDSA expected, found 0x{alg:04x}")
    reader.finish("TPMT_SIGNATURE")
    return signature


def encode_signature(signature: Signature) -> bytes:
    """The TPMT_SIGNATURE with these fields."""
    head = _u16(signature.alg) + _u16(signature.hash_alg)
    if signature.rsa is not None:
        return head + _sized(signature.rsa)
    return head + _sized(signature.r or b"") + _sized(signature.s or b"")


def decode_credential(id_object: bytes, encrypted_secret: bytes) -> Credential:
    """A TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET.

    Raises:
        DecodeError: a length that does not fit, bytes left over. Part 2, 12.4.3 and 11.4.3.
    """
    blob, secret = Reader(id_object), Reader(encrypted_secret)
    credential = Credential(
        id_object=blob.sized16("TPM2B_ID_OBJECT", limit=MAX_ID_OBJECT),
        encrypted_secret=secret.sized16("TPM2B_ENCRYPTED_SECRET", limit=MAX_ENCRYPTED_SECRET),
    )
    blob.finish("TPM2B_ID_OBJECT")
    secret.finish("TPM2B_ENCRYPTED_SECRET")
    inner = Reader(credential.id_object)
    inner.sized16("integrityHMAC", limit=MAX_DIGEST)
    inner.rest()
    return credential


def encode_credential(credential: Credential) -> tuple[bytes, bytes]:
    """TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET."""
    return _sized(credential.id_object), _sized(credential.encrypted_secret)
