"""Addresses and pins as operators give them, and the walk to a certificate's key."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bartizan.agent.errors import NoAnswer, Unusable
from bartizan.agent.spki import subject_public_key_info
from bartizan.agent.text import plain, seconds
from bartizan.agent.transport import MAX_REQUEST, Address, HttpService, parse_address, parse_pin

PIN = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://verifier.example", Address(True, "verifier.example", 443, "")),
        ("https://10.0.0.1:8443/bartizan/", Address(True, "10.0.0.1", 8443, "/bartizan")),
        ("https://[2001:db8::1]:8443", Address(True, "2001:db8::1", 8443, "")),
        ("http://127.0.0.1:8080", Address(False, "127.0.0.1", 8080, "")),
        ("http://[::1]", Address(False, "::1", 80, "")),
        ("http://localhost:1", Address(False, "localhost", 1, "")),
    ],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        *["", "verifier.example", "ftp://a", "https://", "https://a:99999", "https://a:x", "https://[::1"],
        *["https://user@a", "https://a?b", "https://a#b", "http://10.0.0.1", "http://verifier.example"],
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Unusable, match="service"):
        parse_address(url)


def test_a_pin_is_read() -> None:
    assert parse_pin(PIN) == parse_pin(PIN.replace("ab", "AB")) == bytes.fromhex("ab" * 32)


@pytest.mark.parametrize("pin", ["", "ab" * 32, "sha256:" + "ab" * 31, "sha1:" + "ab" * 20, PIN + "\n", PIN + " "])
def test_what_is_no_pin_is_refused(pin: str) -> None:
    with pytest.raises(Unusable, match="64 hexadecimal"):
        parse_pin(pin)


def test_https_without_a_pin_is_refused() -> None:
    with pytest.raises(Unusable, match="a pin"):
        HttpService("https://verifier.example", None)


def test_a_request_over_the_limit_is_not_sent() -> None:
    with pytest.raises(NoAnswer, match="was not sent"):
        HttpService("http://127.0.0.1:1", None).post("/", bytes(MAX_REQUEST + 1))


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["ec", "ed25519", "rsa"],
)
def test_the_key_of_a_certificate_is_found(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
) -> None:
    raw = certificate_of(key)

    assert subject_public_key_info(raw) == key.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    for end in range(len(raw)):
        with pytest.raises(NoAnswer):
            subject_public_key_info(raw[:end])


def certificate_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "service")])
    day = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + timedelta(days=1))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def test_words_of_others_are_one_harmless_line() -> None:
    assert plain("a\x1b[31m\nb\u202e") == r"a\x1b[31m\nb\u202e"
    assert plain("x" * 500) == "x" * 300 + "…"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0.2, "less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (90, "2 minutes"),
        (7200, "2 hours"),
        (86400, "1 day"),
    ],
)
def test_a_span_is_said_in_words(count: float, words: str) -> None:
    assert seconds(count) == words
