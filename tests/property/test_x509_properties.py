"""Certificate decoders are total: whatever the bytes, they return or raise `DecodeError`."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.errors import DecodeError
from bartizan.formats.platform_certificate import decode_platform_certificate
from bartizan.formats.x509 import decode_certificate, decode_certificates
from bartizan.model.certificate import Repair

VECTORS = Path(__file__).parents[1] / "vectors" / "certificates"
STM = (VECTORS / "nsacyber_HIRS" / "nuc-1-ek_cert_7_byte_header_removed.cer").read_bytes()
STORED = (VECTORS / "nsacyber_HIRS" / "nuc-1-ek_cert_untouched.cer").read_bytes()
GOOGLE = decode_certificates((VECTORS / "google_go-tpm-tools" / "uca_tpm_ecc_enc_cert.pem").read_bytes())[0].raw
PLATFORM = (VECTORS / "google_go-attestation" / "plat_cert1.cer").read_bytes()
WHOLE = [STM, STORED, GOOGLE, PLATFORM]
NAMES = ["STMicroelectronics", "TPM 1.2 header", "Google", "platform"]


def survives(raw: bytes) -> None:
    """Every decoder returns or refuses; each accepted certificate reads the same when it stands alone."""
    for decode in (decode_certificate, decode_platform_certificate):
        try:
            found = decode(raw)
        except DecodeError:
            continue
        assert decode(found.raw).tbs == found.tbs
    try:
        found_all = decode_certificates(raw)
    except DecodeError:
        return
    assert all(certificate.raw in raw or b"BEGIN" in raw for certificate in found_all)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_refused_or_read(raw: bytes) -> None:
    survives(raw)


@settings(deadline=None)
@given(st.recursive(st.binary(max_size=9), lambda inner: st.lists(inner, max_size=5), max_leaves=30), st.data())
def test_well_formed_elements_of_any_meaning_are_refused_or_read(tree: object, data: st.DataObject) -> None:
    survives(element(tree, data))


def element(tree: object, data: st.DataObject) -> bytes:
    """The tree as nested elements with drawn tags."""
    tag = data.draw(st.sampled_from([0x30, 0x31, 0x02, 0x03, 0x04, 0x06, 0x0C, 0x17, 0xA0, 0xA3, 0xA4]))
    body = tree if isinstance(tree, bytes) else b"".join(element(branch, data) for branch in list_of(tree))
    return bytes([tag, 0x82]) + len(body).to_bytes(2, "big") + body


def list_of(tree: object) -> list[object]:
    assert isinstance(tree, list)
    return tree


@settings(deadline=None)
@given(st.text(alphabet="-BEGIND CRTFA\n=", max_size=300))
def test_anything_like_pem_is_refused_or_read(text: str) -> None:
    survives(text.encode())


@pytest.mark.parametrize("raw", WHOLE, ids=NAMES)
def test_every_truncation_is_refused(raw: bytes) -> None:
    for size in range(len(raw)):
        with pytest.raises(DecodeError):
            decode_certificates(raw[:size])
        with pytest.raises(DecodeError):
            decode_platform_certificate(raw[:size])


@settings(deadline=None)
@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 255)), min_size=1, max_size=3))
def test_flipped_bytes_are_refused_or_read(raw: bytes, flips: list[tuple[int, int]]) -> None:
    changed = bytearray(raw)
    for place, mask in flips:
        changed[place % len(raw)] ^= mask
    survives(bytes(changed))


@settings(deadline=None)
@given(st.integers(0, 255), st.integers(1, 300))
def test_padding_of_any_one_byte_is_told(byte: int, count: int) -> None:
    padded = GOOGLE + bytes([byte]) * count

    assert decode_certificate(padded).raw == GOOGLE
    assert Repair.PADDING in decode_certificate(padded).repairs


@settings(deadline=None)
@given(st.integers(1, 40))
def test_deep_nesting_costs_nothing(depth: int) -> None:
    raw = b""
    for _ in range(depth * 100):
        raw = b"\x30\x84" + len(raw).to_bytes(4, "big") + raw
    survives(raw)
