"""PE images: the Authenticode digest is what the specification says, and nothing that does not fit is hashed."""

from dataclasses import replace
from struct import pack

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import pe
from bartizan.formats.pe import authenticode_digest, decode_pe, section_content
from bartizan.model.digest import HashAlg
from bartizan.model.image import Section
from tests.simulator.boot_images import ALIGN, PE_AT, VECTORS, Pe

COFF_AT, OPTIONAL_AT = PE_AT + 4, PE_AT + 24
SECTIONS_AT = OPTIONAL_AT + 112 + 16 * 8
HEADERS_AT = OPTIONAL_AT + 60
SIGNED = Pe(signatures=(b"a signature", b"another one"))
UPSTREAM = VECTORS / "Foxboron_go-uefi"


def patched(raw: bytes, at: int, data: bytes) -> bytes:
    return raw[:at] + data + raw[at + len(data) :]


def digest(raw: bytes, alg: HashAlg = HashAlg.SHA256) -> bytes:
    return authenticode_digest(raw, decode_pe(raw), alg)


@pytest.mark.parametrize(
    "image",
    [Pe(), Pe(plus=False), Pe(directories=5), Pe(directories=4), Pe(trailing=b"after"), Pe(sections={}), SIGNED],
    ids=["plain", "PE32", "five directories", "no room for a certificate table", "data after", "no sections", "signed"],
)
@pytest.mark.parametrize("alg", [HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384, HashAlg.SHA512])
def test_the_digest_leaves_out_checksum_and_certificates_alone(image: Pe, alg: HashAlg) -> None:
    assert digest(image.encode(), alg) == image.digest(alg.label)


def test_signing_does_not_change_the_digest() -> None:
    padded = Pe(trailing=b"eight by")

    assert digest(replace(padded, signatures=(b"s" * 100,)).encode()) == digest(padded.encode())


def test_a_published_image_has_the_digest_that_its_signature_is_about() -> None:
    signed, plain = (UPSTREAM / "test.pecoff.signed").read_bytes(), (UPSTREAM / "test.pecoff").read_bytes()

    assert digest(signed).hex() == "e7d74d2bc1287c17bf056e259ad7d2ca557e848b252509ae9956df0b14f69702"
    assert digest(plain + bytes(-len(plain) % 8)) == digest(signed)


@pytest.mark.parametrize("at", [0, PE_AT + 8, HEADERS_AT - 8, SECTIONS_AT + 36, ALIGN, ALIGN * 2])
def test_another_byte_elsewhere_is_another_digest(at: int) -> None:
    raw = Pe().encode()
    other = patched(raw, at, bytes([raw[at] ^ 1]))

    if at == 0:
        with pytest.raises(DecodeError, match="DOS header"):
            decode_pe(other)
    else:
        assert digest(other) != digest(raw)


@pytest.mark.parametrize("at", [OPTIONAL_AT + 64, OPTIONAL_AT + 67])
def test_the_checksum_does_not_count(at: int) -> None:
    raw = Pe().encode()

    assert digest(patched(raw, at, b"\x55")) == digest(raw)


def test_sections_are_hashed_in_the_order_of_the_file() -> None:
    raw = Pe().encode()
    first, second = raw[SECTIONS_AT : SECTIONS_AT + 40], raw[SECTIONS_AT + 40 : SECTIONS_AT + 80]
    turned = patched(raw, SECTIONS_AT, second + first)
    spans = decode_pe(turned).hashed

    assert list(spans) == sorted(spans)
    assert [section.name for section in decode_pe(turned).sections] == [".data", ".text"]


def test_data_after_the_sections_counts_from_the_sum_of_their_sizes_on() -> None:
    raw = bytearray(Pe(trailing=b"t" * 100).encode())
    offset = SECTIONS_AT + 40 + 20
    raw[offset : offset + 4] = pack("<I", 3 * ALIGN)  # the second section now lies where the trailing data is
    raw += bytes(ALIGN)
    image = decode_pe(bytes(raw))
    total = image.hashed[0].stop - image.hashed[0].start

    assert image.hashed[-1].start == ALIGN + 2 * ALIGN
    assert image.hashed[-1].stop == len(raw)
    assert total == OPTIONAL_AT + 64


def test_certificates_come_in_order_without_their_padding() -> None:
    found = decode_pe(SIGNED.encode()).certificates

    assert [(one.revision, one.kind, one.data) for one in found] == [
        (0x200, 2, b"a signature"),
        (0x200, 2, b"another one"),
    ]


def test_a_section_is_found_by_name_and_the_first_one_counts() -> None:
    image = decode_pe(Pe().encode())
    found = image.section(".text")

    assert found is not None
    assert found.virtual_size == 160
    assert image.section(".none") is None


def test_a_name_that_is_not_text_is_shown_as_bytes() -> None:
    raw = patched(Pe().encode(), SECTIONS_AT, b"\xff\x00\x00\x00\x00\x00\x00\x00")

    assert decode_pe(raw).sections[0].name == "\\xff"


def test_a_section_in_memory_has_its_virtual_size() -> None:
    raw = Pe(sections={".text": b"abc"}).encode()
    section = decode_pe(raw).sections[0]

    assert section_content(raw, section) == b"abc"
    assert section_content(raw, section._replace(virtual_size=ALIGN + 2)) == b"abc" + bytes(ALIGN - 1)
    assert section_content(raw, section._replace(virtual_size=4, size=0, offset=10**9)) == bytes(4)


def test_a_section_that_the_file_does_not_fill_is_refused() -> None:
    with pytest.raises(DecodeError, match="bytes in memory"):
        section_content(b"", Section(".bss", 0, 10**9, 0, 0))


REFUSED = {
    "no MZ": (patched(Pe().encode(), 0, b"ZM"), "DOS header"),
    "no PE": (patched(Pe().encode(), PE_AT, b"NE"), "PE signature"),
    "header beyond the end": (patched(Pe().encode(), 60, pack("<I", 10**9)), "PE signature"),
    "too many sections": (patched(Pe().encode(), COFF_AT + 2, pack("<H", 97)), "NumberOfSections"),
    "ROM image": (patched(Pe().encode(), OPTIONAL_AT, pack("<H", 0x107)), "optional header"),
    "too many directories": (patched(Pe().encode(), OPTIONAL_AT + 108, pack("<I", 17)), "NumberOfRvaAndSizes"),
    "more directories than the header holds": (patched(Pe(directories=4).encode(), OPTIONAL_AT + 108, b"\x05"), "data"),
    "optional header beyond the end": (patched(Pe().encode(), COFF_AT + 16, b"\xff\xff"), "optional header"),
    "headers larger than the file": (patched(Pe().encode(), HEADERS_AT, pack("<I", 10**9)), "SizeOfHeaders"),
    "headers smaller than they are": (patched(Pe().encode(), HEADERS_AT, pack("<I", 100)), "SizeOfHeaders"),
    "section beyond the end": (patched(Pe().encode(), SECTIONS_AT + 16, pack("<I", 10**9)), "section header"),
    "sections that overlap": (patched(Pe().encode(), SECTIONS_AT + 16, pack("<I", 2 * ALIGN)), "sections"),
    "table that does not end the file": (SIGNED.encode() + b"\0", "certificate table"),
    "table within the headers": (patched(SIGNED.encode(), SIGNED.table_entry, pack("<I", 8)), "certificate table"),
    "certificate without data": (Pe(signatures=(b"",)).encode(), "dwLength"),
    "padding that is no zeros": (SIGNED.encode()[:-1] + b"\1", "WIN_CERTIFICATE padding"),
    "too many certificates": (Pe(signatures=(b"x",) * 17).encode(), "certificate table"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str) -> None:
    raw, what = REFUSED[case]

    with pytest.raises(DecodeError, match=what):
        decode_pe(raw)


def test_a_certificate_longer_than_its_table_is_refused() -> None:
    raw = SIGNED.encode()
    at = decode_pe(Pe(trailing=bytes(-len(Pe().encode()) % 8)).encode()).size

    with pytest.raises(DecodeError, match="WIN_CERTIFICATE"):
        decode_pe(patched(raw, at, pack("<I", 200)))


def test_a_certificate_over_the_limit_is_refused() -> None:
    with pytest.raises(DecodeError, match="dwLength"):
        decode_pe(Pe(signatures=(bytes(pe.MAX_CERTIFICATE + 1),)).encode())


def test_an_image_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pe, "MAX_IMAGE", 100)

    with pytest.raises(DecodeError, match="over the limit"):
        decode_pe(Pe().encode())
