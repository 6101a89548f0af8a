"""TDX quotes and CCEL tables: what is read from recorded ones, and every way in which one is refused."""

from contextlib import suppress
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.errors import DecodeError
from bartizan.formats.ccel_table import decode_ccel_table
from bartizan.formats.tdx import MAX_QUOTE, MAX_SIGNATURE_DATA, decode_tdx_quote

VECTORS = Path(__file__).parent.parent / "vectors" / "confidential"
COS = (VECTORS / "cos-113.quote.bin").read_bytes()
TABLE = (VECTORS / "cos-113.table.bin").read_bytes()
INTEL = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
HEADER_SIZE, REPORT_SIZE = 48, 584


def header(version: int = 4, tee: int = 0x81) -> bytes:
    return pack("<HHI4x16s20s", version, 2, tee, INTEL, bytes(20))


def report(attributes: bytes = bytes(8)) -> bytes:
    """Every field filled with a byte of its own."""
    sizes = (16, 48, 48, 8, 8, 8, 48, 48, 48, 48, 48, 48, 48, 48, 64)
    fields = [bytes([number]) * size for number, size in enumerate(sizes, 1)]
    fields[4] = attributes
    return b"".join(fields)


def signature(size: int = 100) -> bytes:
    return pack("<I", size) + b"\xaa" * size


def version_4() -> bytes:
    return header() + report() + signature()


def version_5(kind: int = 3, *, body: bytes = report() + b"\x10" * 16 + b"\x11" * 48, size: int | None = None) -> bytes:
    return header(5) + pack("<HI", kind, len(body) if size is None else size) + body + signature()


def refusal(raw: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as refused:
        decode_tdx_quote(raw)
    return refused.value


def test_a_recorded_quote_says_what_it_was_taken_of() -> None:
    quote = decode_tdx_quote(COS)

    assert (quote.version, quote.attestation_key_type, quote.qe_vendor) == (4, 2, INTEL)
    assert quote.report.mr_td.hex().startswith("dae67181d3d65e07")
    assert [rtmr.hex()[:16] for rtmr in quote.report.rtmrs] == [
        "3fa2f61f395b7f5f",
        "f62dbc072bd5d3f3",
        "4969684dc87381fc",
        "0" * 16,
    ]
    assert quote.report.report_data == bytes(64)
    assert (len(quote.signature_data), quote.padding, len(COS)) == (4299, 3065, 8000)
    assert quote.signed == COS[: HEADER_SIZE + REPORT_SIZE]
    assert not quote.report.under_debug


def test_every_field_of_a_report_is_the_one_that_stands_there() -> None:
    found = decode_tdx_quote(version_4()).report

    assert [found.tee_tcb_svn, found.mr_seam, found.mr_signer_seam, found.seam_attributes] == [
        b"\x01" * 16,
        b"\x02" * 48,
        b"\x03" * 48,
        b"\x04" * 8,
    ]
    assert (found.td_attributes, found.xfam) == (bytes(8), b"\x06" * 8)
    assert [found.mr_td, found.mr_config_id, found.mr_owner, found.mr_owner_config] == [
        bytes([number]) * 48 for number in (7, 8, 9, 10)
    ]
    assert found.registers == {index: bytes([10 + index]) * 48 for index in (1, 2, 3, 4)}
    assert found.report_data == b"\x0f" * 64
    assert (found.tee_tcb_svn_2, found.mr_service_td) == (None, None)


def test_version_5_says_which_report_it_holds() -> None:
    newer = decode_tdx_quote(version_5())
    older = decode_tdx_quote(version_5(2, body=report()))

    assert newer.report.tee_tcb_svn_2 == b"\x10" * 16
    assert newer.report.mr_service_td == b"\x11" * 48
    assert len(newer.signed) == HEADER_SIZE + 6 + REPORT_SIZE + 64
    assert older.report == decode_tdx_quote(version_4()).report


def test_a_domain_under_debug_is_seen() -> None:
    assert decode_tdx_quote((VECTORS / "debug.quote.bin").read_bytes()).report.under_debug
    assert decode_tdx_quote(header() + report(b"\x01" + bytes(7)) + signature()).report.under_debug
    assert not decode_tdx_quote(header() + report(b"\x00\x00\x00\x10" + bytes(4)) + signature()).report.under_debug


def test_a_quote_in_hexadecimal_is_a_quote_once_it_is_bytes() -> None:
    text = (VECTORS / "tappd.hex").read_bytes()

    assert "text" in refusal(text).why
    assert decode_tdx_quote(bytes.fromhex(text.decode("ascii").strip().removeprefix("0x"))).version == 4


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ((VECTORS / "occlum.sgx-quote.bin").read_bytes(), "an SGX quote (version 3), which has no RTMRs"),
        (header(4, 0) + report() + signature(), "an SGX quote (version 4), which has no RTMRs"),
        (version_5(1, body=bytes(384)), "an SGX enclave's report, which has no RTMRs"),
        ((VECTORS / "td-report.bin").read_bytes(), "a TD report, not a quote"),
        (b"\x81\x00" + bytes(300), "a TD report, not a quote"),
        ((VECTORS / "dstack-quote-report.json").read_bytes(), "text (hexadecimal or JSON?)"),
        ((VECTORS / "trailing.quote.bin").read_bytes(), "39 bytes after the signature data that are not all zero"),
        (header(6) + report() + signature(), "version 4 or 5 expected, found 6"),
        (header(4, 2) + report() + signature(), "TEE type 0x81 (TDX) expected, found 0x2"),
        (version_5(4), "2 (TDX 1.0) or 3 (TDX 1.5) expected, found 4"),
        (version_5(3, size=584), "648 expected for type 3, found 584"),
        (header() + report() + pack("<I", MAX_SIGNATURE_DATA + 1), "is over the limit of 32768"),
        (bytes(MAX_QUOTE + 1), "65537 bytes are over the limit of 65536"),
        (b"", "48 bytes expected, 0 left"),
    ],
)
def test_what_is_no_tdx_quote_is_refused_by_name(raw: bytes, why: str) -> None:
    assert why in refusal(raw).why


@pytest.mark.parametrize("raw", [version_4(), version_5()])
def test_every_truncation_of_a_quote_is_refused(raw: bytes) -> None:
    assert all(refusal(raw[:size]) for size in range(len(raw)))


@given(st.binary(max_size=2000) | st.builds(lambda tail: version_4()[:600] + tail, st.binary(max_size=200)))
def test_any_bytes_are_a_quote_or_refused(raw: bytes) -> None:
    for decode in (decode_tdx_quote, decode_ccel_table):
        with suppress(DecodeError):
            decode(raw)


@pytest.mark.parametrize(("name", "size", "address"), [("cos-113", 0x40000, 0xBEDBF000), ("edk2", 0x10000, 0x7D649000)])
def test_a_table_says_where_the_log_is(name: str, size: int, address: int) -> None:
    table = decode_ccel_table((VECTORS / f"{name}.table.bin").read_bytes())

    assert (table.log_size, hex(table.log_address), table.cc_type, table.cc_subtype) == (size, hex(address), 2, 0)
    assert (table.oem_id, table.revision) == (b"INTEL ", 1)


def with_sum(raw: bytes) -> bytes:
    """The table with a checksum that fits."""
    return raw[:9] + bytes([-(sum(raw) - raw[9]) % 256]) + raw[10:]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"CCEM" + TABLE[4:], "ACPI table signature"),
        (TABLE[:4] + b"\x39" + TABLE[5:], "ACPI table length"),
        (TABLE[:8] + b"\x02" + TABLE[9:], "ACPI table revision"),
        (TABLE[:9] + bytes([TABLE[9] ^ 1]) + TABLE[10:], "ACPI table checksum"),
        (TABLE[:-1] + b"\x01", "ACPI table checksum"),
        (with_sum(TABLE[:40] + bytes(8) + TABLE[48:]), "CCEL table"),
        (with_sum(TABLE[:48] + bytes(8)), "CCEL table"),
        (TABLE + b"\0", "CCEL table"),
        (TABLE[:55], "CCEL table"),
        (b"", "ACPI table header"),
    ],
)
def test_a_table_that_breaks_its_rules_is_refused(raw: bytes, what: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_ccel_table(raw)

    assert refused.value.what == what
