"""Quotes to measure with: made here, by keys of this run, over 24 PCRs of one bank."""

import random
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from bartizan.formats.pcr_file import decode_pcr_file
from bartizan.formats.tpm2 import (
    decode_attest,
    decode_public,
    decode_signature,
    encode_attest,
    encode_public,
    encode_signature,
)
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.tpm import (
    TPM_GENERATED,
    Alg,
    Attest,
    Attribute,
    ClockInfo,
    Curve,
    EccKey,
    PcrSelection,
    PublicArea,
    QuoteInfo,
    RsaKey,
    Scheme,
    Signature,
    Structure,
)
from bartizan.verify.signature import load_key

NONCE = bytes(range(32))
AK_ATTRIBUTES = (
    Attribute.FIXED_TPM
    | Attribute.FIXED_PARENT
    | Attribute.SENSITIVE_DATA_ORIGIN
    | Attribute.USER_WITH_AUTH
    | Attribute.RESTRICTED
    | Attribute.SIGN_ENCRYPT
)
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def quoted_pcrs() -> tuple[bytes, ...]:
    """The PCR values of the quotes: made up, the same each time."""
    chance = random.Random(20)
    return tuple(chance.randbytes(HashAlg.SHA256.size) for _ in range(PCR_COUNT))


def public_area(key: PrivateKey) -> PublicArea:
    """An attestation key's public area."""
    if isinstance(key, rsa.RSAPrivateKey):
        modulus = key.public_key().public_numbers().n.to_bytes(key.key_size // 8, "big")
        parameters: RsaKey | EccKey = RsaKey(bits=key.key_size, exponent=0, modulus=modulus)
    else:
        point = key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (point.x, point.y))
        parameters = EccKey(curve=Curve.NIST_P256, kdf=None, x=x, y=y)
    alg = Alg.RSASSA if isinstance(parameters, RsaKey) else Alg.ECDSA
    scheme = Scheme(alg=alg, hash_alg=HashAlg.SHA256)
    return PublicArea(
        raw=b"",
        name_alg=HashAlg.SHA256,
        attributes=AK_ATTRIBUTES,
        policy=b"",
        symmetric=None,
        scheme=scheme,
        key=parameters,
    )


def attest(pcrs: tuple[bytes, ...], signer: bytes = b"\x00\x0b" + bytes(32)) -> bytes:
    """A quote over these values; signer: the qualified name that it states."""
    selection = PcrSelection(alg=HashAlg.SHA256, pcrs=tuple(range(PCR_COUNT)))
    body = QuoteInfo(selections=(selection,), pcr_digest=HashAlg.SHA256.digest(b"".join(pcrs)))
    return encode_attest(
        Attest(
            raw=b"",
            magic=TPM_GENERATED,
            type=Structure.ATTEST_QUOTE,
            qualified_signer=signer,
            extra_data=NONCE,
            clock=ClockInfo(clock=3_600_000, reset_count=7, restart_count=0, safe=True),
            firmware_version=1,
            body=body,
        )
    )


def sign(key: PrivateKey, message: bytes) -> tuple[bytes, bytes]:
    """A signature as OpenSSL writes it and as a TPM does."""
    if isinstance(key, rsa.RSAPrivateKey):
        raw = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return raw, encode_signature(Signature(alg=Alg.RSASSA, hash_alg=HashAlg.SHA256, rsa=raw))
    raw = key.sign(message, ec.ECDSA(hashes.SHA256()))
    r, s = (number.to_bytes(32, "big") for number in decode_dss_signature(raw))
    return raw, encode_signature(Signature(alg=Alg.ECDSA, hash_alg=HashAlg.SHA256, r=r, s=s))


def write_quote(folder: Path, key: PrivateKey) -> None:
    """One quote with all that Bartizan, the floor and Keylime need to check it."""
    folder.mkdir()
    pcrs = quoted_pcrs()
    message = attest(pcrs)
    raw, tpm_signature = sign(key, message)
    public = key.public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    for name, content in {
        "quote.attest": message,
        "quote.sig": tpm_signature,
        "ak.pub": encode_public(public_area(key)),
        "pcrs.bin": b"".join(pcrs),
        "nonce.bin": NONCE,
        "signature.raw": raw,
        "ak.der": public.public_bytes(serialization.Encoding.DER, form),
        "ak.pem": public.public_bytes(serialization.Encoding.PEM, form),
    }.items():
        (folder / name).write_bytes(content)


def write_quotes(folder: Path) -> None:
    """`quote-rsa2048` and `quote-p256` below a folder."""
    write_quote(folder / "quote-rsa2048", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    write_quote(folder / "quote-p256", ec.generate_private_key(ec.SECP256R1()))


def export_quote(folder: Path) -> None:
    """A recorded quote in the forms that the floor takes: `ak.der`, `signature.raw` and `pcrs.bin`."""
    signature = decode_signature((folder / "quote.sig").read_bytes())
    key = load_key(decode_public((folder / "ak.pub").read_bytes()).key)
    body = decode_attest((folder / "quote.attest").read_bytes()).body
    banks = decode_pcr_file((folder / "pcrs_at_quote.json").read_bytes())
    if signature.rsa is None:
        pair = (int.from_bytes(number or b"", "big") for number in (signature.r, signature.s))
        raw = encode_dss_signature(*pair)
    else:
        raw = signature.rsa
    assert isinstance(body, QuoteInfo)
    values = [banks[HashAlg(bank.alg)][pcr] for bank in body.selections for pcr in bank.pcrs]
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "signature.raw").write_bytes(raw)
    (folder / "ak.der").write_bytes(key.public_bytes(serialization.Encoding.DER, form))
    (folder / "pcrs.bin").write_bytes(b"".join(values))
