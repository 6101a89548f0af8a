"""TPM 2.0 structures as bytes: every field is read, every limit held, nothing left over."""

from dataclasses import replace
from pathlib import Path
from struct import pack

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.tpm2 import (
    MAX_ATTEST,
    MAX_DATA,
    MAX_DIGEST,
    MAX_ENCRYPTED_SECRET,
    MAX_ID_OBJECT,
    MAX_NAME,
    MAX_PUBLIC,
    MAX_RSA_KEY,
    decode_attest,
    decode_credential,
    decode_public,
    decode_signature,
    encode_attest,
    encode_credential,
    encode_public,
    encode_signature,
)
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import (
    Alg,
    Attribute,
    CertifyInfo,
    ClockInfo,
    Curve,
    EccKey,
    PcrSelection,
    QuoteInfo,
    RsaKey,
    Scheme,
    Symmetric,
)
from tests.simulator.quotes import SHA1, SHA256, SIGNERS, Quote, Signed, bitmap, sized

SWTPM = Path(__file__).parent.parent / "vectors" / "boots" / "swtpm"
QUOTE = Quote(
    signer=b"\0\x0b" + b"\1" * 32,
    extra=b"nonce",
    selections=((SHA1, bitmap((0, 23))), (SHA256, bitmap((10,)))),
    digest=b"\2" * 32,
    safe=0,
)


def test_every_field_of_a_quote_is_read() -> None:
    raw = QUOTE.encode()
    attest = decode_attest(raw)

    assert (attest.raw, attest.magic, attest.type) == (raw, 0xFF544347, 0x8018)
    assert (attest.qualified_signer, attest.extra_data) == (QUOTE.signer, b"nonce")
    assert attest.clock == ClockInfo(clock=60_000, reset_count=7, restart_count=0, safe=False)
    assert attest.firmware_version == 0x0001_0002_0003_0004
    banks = (PcrSelection(alg=SHA1, pcrs=(0, 23)), PcrSelection(alg=SHA256, pcrs=(10,)))
    assert attest.body == QuoteInfo(selections=banks, pcr_digest=b"\2" * 32)
    assert encode_attest(attest) == raw


def test_a_certification_is_read_too() -> None:
    quoted = QUOTE.encode()
    head = quoted[: quoted.index(pack(">Q", QUOTE.firmware)) + 8]
    raw = head[:4] + b"\x80\x17" + head[6:] + sized(b"name") + sized(b"qualified")
    attest = decode_attest(raw)

    assert attest.body == CertifyInfo(name=b"name", qualified_name=b"qualified")
    assert encode_attest(attest) == raw


def test_the_magic_is_read_and_left_for_verification_to_judge() -> None:
    assert decode_attest(replace(QUOTE, magic=0x41424344).encode()).magic == 0x41424344


SELECTION = "pcrSelections.count", "sizeofSelect", "pcrSelection.hash"
REFUSED_ATTESTS: dict[str, tuple[Quote, str, str]] = {
    "another structure": (replace(QUOTE, type=0x8014), "TPMS_ATTEST.type", "found 0x8014"),
    "safe neither yes nor no": (replace(QUOTE, safe=2), "safe", "found 2"),
    "a signer over its limit": (replace(QUOTE, signer=bytes(MAX_NAME + 1)), "qualifiedSigner", "over the limit of 66"),
    "extra data over its limit": (replace(QUOTE, extra=bytes(MAX_DATA + 1)), "extraData", "over the limit of 66"),
    "a digest over its limit": (replace(QUOTE, digest=bytes(MAX_DIGEST + 1)), "pcrDigest", "over the limit of 64"),
    "a bank twice": (replace(QUOTE, selections=QUOTE.selections * 2), SELECTION[2], "selected twice"),
    "seventeen banks": (replace(QUOTE, selections=tuple((n, b"\0") for n in range(17))), SELECTION[0], "limit of 16"),
    "a bitmap without bytes": (replace(QUOTE, selections=((SHA256, b""),)), SELECTION[1], "1 to 4 expected, found 0"),
    "a bitmap of five bytes": (replace(QUOTE, selections=((SHA256, bytes(5)),)), SELECTION[1], "found 5"),
    "bytes left over": (replace(QUOTE, tail=b"\0"), "TPMS_ATTEST", "1 bytes left over"),
}


@pytest.mark.parametrize("name", REFUSED_ATTESTS)
def test_an_attestation_out_of_form_is_refused(name: str) -> None:
    quote, what, why = REFUSED_ATTESTS[name]

    with pytest.raises(DecodeError, match=why) as refusal:
        decode_attest(quote.encode())

    assert refusal.value.what == what


def test_a_count_of_banks_that_promises_billions_is_refused_at_once() -> None:
    raw = QUOTE.encode()
    at = raw.index(pack(">I", 2) + b"\0\4")

    with pytest.raises(DecodeError, match="4294967295 is over the limit"):
        decode_attest(raw[:at] + b"\xff" * 4 + raw[at + 4 :])


def test_an_attestation_over_its_limit_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="over the limit of 2048"):
        decode_attest(bytes(MAX_ATTEST + 1))


@pytest.mark.parametrize("name", SIGNERS)
def test_a_key_and_its_signatures_are_read(name: str) -> None:
    signer = SIGNERS[name]
    signed = signer.sign(b"text").encode()
    area, signature = decode_public(signer.public()), decode_signature(signed)

    assert area.scheme == Scheme(alg=signer.alg, hash_alg=signer.hash_alg)
    assert (signature.alg, signature.hash_alg) == (signer.alg, signer.hash_alg)
    assert (signature.rsa is None) == (signature.r is not None) == (signature.s is not None) == (signer.kind != "rsa")
    assert isinstance(area.key, RsaKey if signer.kind == "rsa" else EccKey)
    assert encode_public(area) == signer.public()
    assert encode_signature(signature) == signed


REFUSED_SIGNATURES: dict[str, tuple[Signed, str]] = {
    "HMAC": (Signed(alg=0x0005, hash_alg=SHA256, parts=(bytes(32),)), "RSASSA, RSAPSS or ECDSA expected"),
    "no signature": (Signed(alg=Alg.NULL, hash_alg=SHA256, parts=()), "RSASSA, RSAPSS or ECDSA expected"),
    "ECDAA": (Signed(alg=Alg.ECDAA, hash_alg=SHA256, parts=(b"r", b"s")), "found 0x001a"),
    "SM2": (Signed(alg=Alg.SM2, hash_alg=SHA256, parts=(b"r", b"s")), "found 0x001b"),
    "an unknown hash": (Signed(alg=Alg.ECDSA, hash_alg=0x0099, parts=(b"r", b"s")), "0x0099 is not a known hash"),
    "no hash": (Signed(alg=Alg.RSASSA, hash_alg=Alg.NULL, parts=(b"",)), "0x0010 is not a known hash"),
    "too long": (Signed(alg=Alg.RSASSA, hash_alg=SHA256, parts=(bytes(MAX_RSA_KEY + 1),)), "over the limit of 512"),
    "a long r": (Signed(alg=Alg.ECDSA, hash_alg=SHA256, parts=(bytes(67), b"s")), "over the limit of 66"),
    "a long s": (Signed(alg=Alg.ECDSA, hash_alg=SHA256, parts=(b"r", bytes(67))), "over the limit of 66"),
    "three parts": (Signed(alg=Alg.ECDSA, hash_alg=SHA256, parts=(b"r", b"s", b"")), "2 bytes left over"),
}


@pytest.mark.parametrize("name", REFUSED_SIGNATURES)
def test_a_signature_out_of_form_is_refused(name: str) -> None:
    signed, why = REFUSED_SIGNATURES[name]

    with pytest.raises(DecodeError, match=why):
        decode_signature(signed.encode())


def public(body: bytes) -> bytes:
    """A TPM2B_PUBLIC around these bytes."""
    return sized(body)


HEAD = pack(">HHI", Alg.RSA, HashAlg.SHA256, 0x00030472) + sized(b"\7" * 32)
RSA_TAIL = pack(">HI", 16, 3) + sized(b"\xab\xcd")
AES = pack(">HHH", Alg.AES, 128, Alg.CFB)
NULL = pack(">H", Alg.NULL)


def test_a_storage_key_has_a_cipher_and_no_scheme() -> None:
    area = decode_public(public(HEAD + AES + NULL + RSA_TAIL))

    assert area.symmetric == Symmetric(alg=Alg.AES, key_bits=128, mode=Alg.CFB)
    assert (area.scheme, area.policy, area.name_alg) == (None, b"\7" * 32, HashAlg.SHA256)
    assert Attribute.DECRYPT in area.attributes
    assert area.key == RsaKey(bits=16, exponent=3, modulus=b"\xab\xcd")
    assert area.name == b"\0\x0b" + HashAlg.SHA256.digest(area.raw)


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (pack(">H", Alg.RSAES), Scheme(alg=Alg.RSAES, hash_alg=None)),
        (pack(">HH", Alg.OAEP, 0x0B), Scheme(alg=Alg.OAEP, hash_alg=0x0B)),
        (pack(">HHH", Alg.ECDAA, 0x0B, 5), Scheme(alg=Alg.ECDAA, hash_alg=0x0B, count=5)),
        (pack(">HH", 0x7777, 0x8888), Scheme(alg=0x7777, hash_alg=0x8888)),
    ],
)
def test_any_scheme_is_kept_as_it_stands(scheme: bytes, expected: Scheme) -> None:
    raw = public(HEAD + NULL + scheme + RSA_TAIL)

    assert decode_public(raw).scheme == expected
    assert encode_public(decode_public(raw)) == raw


def test_an_elliptic_curve_key_may_have_a_derivation_scheme() -> None:
    head = pack(">HHI", Alg.ECC, HashAlg.SHA384, 0) + sized(b"") + NULL + NULL
    raw = public(head + pack(">HHH", Curve.SM2_P256, 0x0020, 0x0B) + sized(b"x") + sized(b"y"))
    key = decode_public(raw).key

    assert key == EccKey(curve=Curve.SM2_P256, kdf=Scheme(alg=0x0020, hash_alg=0x0B), x=b"x", y=b"y")
    assert encode_public(decode_public(raw)) == raw


REFUSED_PUBLICS: dict[str, tuple[bytes, str]] = {
    "a symmetric object": (public(pack(">H", Alg.KEYEDHASH) + HEAD[2:] + NULL + RSA_TAIL), "found 0x0008"),
    "an unknown name algorithm": (public(HEAD[:2] + b"\0\x99" + HEAD[4:] + NULL + NULL + RSA_TAIL), "0x0099"),
    "a policy over its limit": (public(HEAD[:8] + sized(bytes(65)) + NULL + NULL + RSA_TAIL), "over the limit of 64"),
    "a modulus of another size": (
        public(HEAD + NULL + NULL + pack(">HI", 24, 3) + sized(b"\1\2")),
        "24 bits declared, 16",
    ),
    "a modulus over its limit": (public(HEAD + NULL + NULL + pack(">HI", 4104, 3) + sized(bytes(513))), "limit of 512"),
    "bytes left over inside": (
        public(HEAD + NULL + NULL + RSA_TAIL + b"\0"),
        "TPMT_PUBLIC at byte 56: 1 bytes left over",
    ),
    "bytes left over outside": (public(HEAD + NULL + NULL + RSA_TAIL) + b"\0", "TPM2B_PUBLIC at byte"),
    "an area over its limit": (public(bytes(MAX_PUBLIC + 1)), "over the limit of 2048"),
}


@pytest.mark.parametrize("name", REFUSED_PUBLICS)
def test_a_public_area_out_of_form_is_refused(name: str) -> None:
    raw, why = REFUSED_PUBLICS[name]

    with pytest.raises(DecodeError, match=why):
        decode_public(raw)


def test_a_long_coordinate_is_refused() -> None:
    head = pack(">HHI", Alg.ECC, HashAlg.SHA256, 0) + sized(b"") + NULL + NULL + pack(">HH", Curve.NIST_P521, Alg.NULL)

    for point in (sized(bytes(67)) + sized(b"y"), sized(b"x") + sized(bytes(67))):
        with pytest.raises(DecodeError, match="over the limit of 66"):
            decode_public(public(head + point))


CREDENTIALS = sorted(path.name.removesuffix(".cred_blob") for path in SWTPM.glob("*.cred_blob"))


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_recorded_credential_comes_back_as_it_was(name: str) -> None:
    parts = (SWTPM / f"{name}.cred_blob").read_bytes(), (SWTPM / f"{name}.enc_secret").read_bytes()

    assert encode_credential(decode_credential(*parts)) == parts


BLOB, SECRET = sized(sized(b"hmac") + b"encrypted"), sized(b"secret")


@pytest.mark.parametrize(
    ("blob", "secret"),
    [
        (BLOB + b"\0", SECRET),
        (BLOB, SECRET + b"\0"),
        (BLOB[:-1], SECRET),
        (BLOB, SECRET[:-1]),
        (sized(b""), SECRET),
        (sized(sized(b"hmac")[:-1]), SECRET),
        (sized(sized(bytes(MAX_DIGEST + 1))), SECRET),
        (sized(bytes(MAX_ID_OBJECT + 1)), SECRET),
        (BLOB, sized(bytes(MAX_ENCRYPTED_SECRET + 1))),
    ],
)
def test_a_credential_out_of_form_is_refused(blob: bytes, secret: bytes) -> None:
    decode_credential(BLOB, SECRET)
    with pytest.raises(DecodeError):
        decode_credential(blob, secret)


RECORDED = sorted(
    path.relative_to(SWTPM) for path in SWTPM.rglob("*") if path.suffix in (".attest", ".sig", ".tpm2b_public")
)


@pytest.mark.parametrize("path", RECORDED, ids=str)
def test_what_a_tpm_wrote_comes_back_byte_for_byte(path: Path) -> None:
    raw = (SWTPM / path).read_bytes()
    if path.suffix == ".attest":
        again = encode_attest(decode_attest(raw))
    elif path.suffix == ".sig":
        again = encode_signature(decode_signature(raw))
    else:
        again = encode_public(decode_public(raw))

    assert again == raw
