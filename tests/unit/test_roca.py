"""The ROCA fingerprint on published samples, on keys made as the flawed library made them, and on sound keys."""

import base64
import math
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_csr

from bartizan.formats.x509 import decode_certificates
from bartizan.verify.roca import SUBGROUPS, is_roca
from tests.simulator.tpm_ca import rsa_key

SAMPLES = Path(__file__).parents[1] / "vectors" / "certificates" / "crocs-muni_roca"


def packets(blob: bytes) -> list[tuple[int, bytes]]:
    """Tag and body of the packets of an OpenPGP file; RFC 9580, 4.2, old and new form, one- and two-octet lengths."""
    found, at = [], 0
    while at < len(blob):
        head, at = blob[at], at + 1
        if head & 0x40:
            tag, size, at = head & 0x3F, blob[at], at + 1
            if size >= 192:
                size, at = (size - 192 << 8) + blob[at] + 192, at + 1
        else:
            octets = 1 << (head & 3)
            tag, size, at = head >> 2 & 0xF, int.from_bytes(blob[at : at + octets], "big"), at + octets
        found.append((tag, blob[at : at + size]))
        at += size
    return found


def from_pgp(raw: bytes) -> int:
    """The modulus of the primary RSA key: version, time and algorithm, then a bit count and the number."""
    text = raw.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]
    body = b"".join(line for line in text.splitlines() if not line.startswith((b"=", b"-")))
    key = next(packet for tag, packet in packets(base64.b64decode(body)) if tag == 6)
    assert (key[0], key[5]) == (4, 1)
    octets = (int.from_bytes(key[6:8], "big") + 7) // 8
    return int.from_bytes(key[8 : 8 + octets], "big")


def from_ssh(raw: bytes) -> int:
    """The modulus of an ssh-rsa line: type, exponent, modulus, each after its length; RFC 4253, 6.6."""
    blob, fields = base64.b64decode(raw.split()[1]), []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        fields.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return int.from_bytes(fields[2], "big")


def modulus_of(name: str) -> int:
    raw = (SAMPLES / name).read_bytes()
    if name.startswith("cert"):
        return decode_certificates(raw)[0].key.modulus
    if name.endswith(".pgp"):
        return from_pgp(raw)
    if name.startswith("ssh"):
        return from_ssh(raw)
    if name.startswith("mod"):
        return int(raw, 16)
    key = load_pem_x509_csr(raw).public_key() if name.startswith("csr") else load_pem_public_key(raw)
    assert isinstance(key, rsa.RSAPublicKey)
    return key.public_numbers().n


@pytest.mark.parametrize(
    ("name", "bits", "flawed"),
    [
        ("cert01.pem", 2048, False),
        ("cert02.pem", 2048, False),
        ("cert03.pem", 2048, False),
        ("cert04.pem", 2050, True),
        ("cert05.pem", 2049, True),
        ("csr03.pem", 2048, False),
        ("csr05.pem", 2049, True),
        ("key02.pgp", 2048, False),
        ("key04.pgp", 4096, True),
        ("mod01.txt", 512, True),
        ("mod03.txt", 2048, True),
        ("mod04.txt", 2048, False),
        ("mod05.txt", 2048, False),
        ("mod06.txt", 2048, False),
        ("pubkey01.pem", 2048, False),
        ("pubkey02.pem", 2048, False),
        ("ssh04.pub", 8192, False),
        ("ssh05.pub", 1024, False),
        ("ssh06.pub", 2049, True),
    ],
)
def test_a_published_sample_is_flawed_or_sound(name: str, bits: int, *, flawed: bool) -> None:
    modulus = modulus_of(name)

    assert modulus.bit_length() == bits
    assert is_roca(modulus) is flawed


def test_a_modulus_built_as_the_flawed_library_builds_it_is_recognised() -> None:
    primes = [n for n in range(2, 168) if all(n % divisor for divisor in range(2, n))]
    whole = math.prod(primes)
    factors = [k * whole + pow(65537, a, whole) for k, a in ((1 << 30, 12345), ((1 << 30) + 7, 67890))]

    assert len(primes) == 39
    assert is_roca(factors[0] * factors[1])
    assert not is_roca(factors[0] * factors[1] + 2 * 11)


def test_sound_keys_are_not_accused() -> None:
    assert not is_roca(rsa_key("ek").public_key().public_numbers().n)


def test_one_prime_outside_its_subgroup_is_enough_to_acquit() -> None:
    for prime, powers in SUBGROUPS.items():
        others = math.prod(other for other in SUBGROUPS if other != prime)
        outside = next(residue for residue in range(1, prime) if residue not in powers)
        lift = others * pow(others, -1, prime) % (others * prime)

        assert is_roca(1)
        assert not is_roca(1 + (outside - 1) * lift)
