"""A list read in bulk holds what the decoder that goes entry by entry finds; what is not usual is left to that one."""

from dataclasses import replace

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import ima as ima_format
from bartizan.formats.ima import decode_ima, entry_by_entry, further_entries
from bartizan.formats.ima_batch import ascii_columns, binary_columns, shape_of
from bartizan.model.ima import ImaColumns, ImaList, ListForm
from tests.unit.ima_lists import BOOTS, RECORDED, VECTORS, Line, ascii_list, binary, boot, d_ng, ng, sha256
from tests.unit.test_ima_format import BROKEN_BINARY, BROKEN_TEXT, DIGEST, GOOD, TEMPLATES

SIZES = (20, 32, 48, 64)
USUAL = [line for line in TEMPLATES if line.template in {"ima-ng", "ima-sig", "ima-buf", "ima-ngv2", "ima-sigv2"}]
UNUSUAL = [line for line in TEMPLATES if line not in USUAL]
LISTS = {
    **{name: (VECTORS / "ima" / name).read_bytes() for name in RECORDED},
    **{f"boots/{name}": boot(name)[0] for name in BOOTS},
}


def read_in_bulk(raw: bytes) -> ImaColumns | None:
    """What `ima_batch` alone makes of a list."""
    if raw[1:4] != b"\0\0\0":
        found = ascii_columns(raw, SIZES)
        return found[1] if found else None
    return next((columns for size in SIZES if (columns := binary_columns(raw, size)) is not None), None)


def outcome(raw: bytes) -> tuple[ImaList | None, tuple[str, int, str] | None]:
    """The list, or what the refusal says; the same from both decoders."""
    found: list[tuple[ImaList | None, tuple[str, int, str] | None]] = []
    for decode in (decode_ima, entry_by_entry):
        try:
            found.append((decode(raw), None))
        except DecodeError as error:
            found.append((None, (error.what, error.offset, error.why)))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("name", LISTS)
def test_a_recorded_list_is_read_in_bulk_and_is_the_same(name: str) -> None:
    found, _ = outcome(LISTS[name])

    assert found is not None
    assert read_in_bulk(LISTS[name]) == found.columns


@pytest.mark.parametrize("line", USUAL, ids=lambda line: f"{line.template} {line.values[1].decode()}")
def test_an_entry_of_a_usual_template_is_read_in_bulk_in_either_form(line: Line) -> None:
    for raw in (line.binary(), line.ascii()):
        found, _ = outcome(raw)

        assert found is not None
        assert read_in_bulk(raw) == found.columns


@pytest.mark.parametrize("line", UNUSUAL, ids=lambda line: line.template)
def test_a_list_with_an_unusual_entry_is_left_to_the_other_decoder(line: Line) -> None:
    for raw in (binary([*USUAL, line]), ascii_list([*USUAL, line])):
        assert read_in_bulk(raw) is None
        assert outcome(raw)[0] is not None


def test_entries_of_many_shapes_are_read_in_bulk_one_run_after_the_other() -> None:
    lines = [*USUAL, *USUAL, ng(b"/v", violation=True), *USUAL, ng(b"/short", b"\x01" * 20)]

    for raw in (binary(lines), ascii_list(lines)):
        found, _ = outcome(raw)

        assert found is not None
        assert read_in_bulk(raw) == found.columns
        assert [entry.template for entry in found.entries] == [line.template for line in lines]


@pytest.mark.parametrize("case", BROKEN_BINARY)
def test_a_broken_binary_entry_is_refused_by_the_other_decoder(case: str) -> None:
    raw = BROKEN_BINARY[case][0]

    for behind in (b"", ng(b"/a").binary(), binary(USUAL)):
        assert read_in_bulk(behind + raw) is None
        assert outcome(behind + raw)[1] is not None


@pytest.mark.parametrize("case", BROKEN_TEXT)
def test_a_broken_line_is_refused_by_the_other_decoder(case: str) -> None:
    for behind in (b"", GOOD, ascii_list(USUAL)):
        assert read_in_bulk(behind + BROKEN_TEXT[case]) is None
        assert outcome(behind + BROKEN_TEXT[case])[1] is not None


TEXT = b"sha256:" + DIGEST.hex().encode() + b" /a "
SIGNED = b"\x03\x02\x04" + b"\xab" * 40
BLOB = Line("ima-sig", (d_ng(DIGEST), b"/a\0", SIGNED), TEXT + SIGNED.hex().encode())
LYING_BLOBS = {
    "longer than it says": BLOB.binary() + b"\0",
    "shorter than it says": BLOB.binary()[:-1],
    "no length": replace(BLOB, values=BLOB.values[:2]).binary(),
    "data that goes on behind it": replace(BLOB, values=(*BLOB.values, b"")).binary(),
    "half a digit": BLOB.ascii()[:-2] + b"\n",
    "capitals": BLOB.ascii().replace(SIGNED.hex().encode(), SIGNED.hex().upper().encode()),
}


@pytest.mark.parametrize("case", LYING_BLOBS)
def test_a_blob_that_is_not_what_it_says_is_refused_by_the_other_decoder(case: str) -> None:
    assert read_in_bulk(LYING_BLOBS[case]) is None
    assert outcome(LYING_BLOBS[case])[1] is not None


@pytest.mark.parametrize("size", [(1 << 20) - 60, 1 << 20, (1 << 20) + 1])
def test_a_large_blob_is_limited_as_the_other_decoder_limits_it(size: int) -> None:
    line = replace(BLOB, values=(*BLOB.values[:2], bytes(size)), text=TEXT + b"00" * size)

    assert (outcome(line.binary())[0] is None) == (size > (1 << 20) - 60)
    assert (outcome(line.ascii())[0] is None) == (size > 1 << 20)


@pytest.mark.parametrize("size", [4095, 4096, 4097])
def test_a_long_name_is_limited_as_the_other_decoder_limits_it(size: int) -> None:
    line = ng(b"x" * size)

    assert (outcome(line.binary())[0] is None) == (size > 4096)
    assert (outcome(line.ascii())[0] is None) == (size > 4096)


def test_a_name_with_blanks_and_no_signature_is_read_as_the_other_decoder_reads_it() -> None:
    for name in (b"a b", b"a ", b" ", b"", b"a 6b", b"a 6"):
        outcome(ng(name).ascii().replace(b"ima-ng", b"ima-sig"))


def test_a_wide_column_is_only_read_in_bulk_where_a_narrow_one_cannot_be() -> None:
    raw = binary(USUAL, sha256)

    found, _ = outcome(raw)

    assert found is not None
    assert (found.digest_size, len(found.entries)) == (32, len(USUAL))


def test_columns_of_two_sizes_are_refused_by_the_other_decoder() -> None:
    assert read_in_bulk(GOOD + ng(b"/b").ascii(sha256)) is None
    assert outcome(GOOD + ng(b"/b").ascii(sha256))[1] is not None


def test_a_single_digit_pcr_is_left_to_the_other_decoder_in_ascii() -> None:
    assert read_in_bulk(ng(b"/a", pcr=9).ascii()) is None
    assert outcome(ng(b"/a", pcr=9).ascii())[0] is not None


@pytest.mark.parametrize(
    ("template", "label", "size"),
    [
        (b"ima", b"sha1", 20),
        (b"ima ng", b"sha256", 32),
        (b"\xff", b"sha256", 32),
        (b"ima-ng", b"SHA256", 32),
        (b"ima-ng", b"ima:sha256", 32),
        (b"ima-ngv2", b"sha256", 32),
        (b"ima-modsig", b"sha256", 32),
        (b"d-ng|n", b"sha256", 32),
        (b"d-ng|n-ng|iuid", b"sha256", 32),
        (b"d-ng|n-ng|xattrnames", b"sha256", 32),
        (b"ima-future", b"sha256", 32),
        (b"ima-ng", b"sha256", 194),
    ],
)
def test_only_a_labelled_digest_a_name_and_a_blob_make_a_shape(template: bytes, label: bytes, size: int) -> None:
    assert shape_of(template, label, size) is None


def test_a_custom_template_of_the_same_fields_is_a_shape() -> None:
    shape = shape_of(b"d-ng|n-ng|buf", b"sha1", 20)

    assert shape is not None
    assert (shape.digest_alg, shape.blob) == ("sha1", "payloads")


def test_limits_hold_for_lists_that_could_be_read_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ima_format, "MAX_ENTRIES", 2)
    monkeypatch.setattr(ima_format, "MAX_LIST", 300)

    for raw in (binary([ng(b"/a")] * 3), ascii_list([ng(b"/a")] * 3), ng(b"x" * 300).binary(), b""):
        assert outcome(raw)[1] is not None


KNOWN = {
    ListForm.BINARY: decode_ima(binary([ng(b"/a"), ng(b"/b")])),
    ListForm.ASCII: decode_ima(ascii_list([ng(b"/a"), ng(b"/b")])),
}


def written(form: ListForm, *lines: Line) -> bytes:
    return binary(lines) if form is ListForm.BINARY else ascii_list(lines)


@pytest.mark.parametrize("form", ListForm)
@pytest.mark.parametrize("lines", [[ng(b"/c")], [ng(b"/c"), *TEMPLATES], []], ids=["usual", "unusual", "none"])
def test_further_entries_are_numbered_on_from_the_known_list(form: ListForm, lines: list[Line]) -> None:
    found = further_entries(written(form, *lines), KNOWN[form])

    assert [entry.index for entry in found] == list(range(2, 2 + len(lines)))
    assert [entry.template_data for entry in found] == [line.data for line in lines]


@pytest.mark.parametrize("form", ListForm)
@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (ng(b"/c").binary()[:-1], "expected"),
        (ng(b"/c").ascii()[:-1], "expected|no end"),
        (ng(b"/c").binary(sha256), "expected|over the limit"),
        (ng(b"/c").ascii(sha256), "expected|32 bytes"),
    ],
)
def test_further_entries_of_another_form_or_size_or_cut_are_refused(form: ListForm, raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        further_entries(raw, KNOWN[form])


def test_further_entries_are_read_with_the_known_size_alone() -> None:
    wide = decode_ima(binary([ng(b"/a")], sha256))

    assert further_entries(ng(b"/b").binary(sha256), wide)[0].path == b"/b"
    with pytest.raises(DecodeError):
        further_entries(ng(b"/b").binary(), wide)


@pytest.mark.parametrize("form", ListForm)
def test_further_entries_count_towards_the_limit(form: ListForm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ima_format, "MAX_ENTRIES", 3)

    assert len(further_entries(written(form, ng(b"/c")), KNOWN[form])) == 1
    with pytest.raises(DecodeError, match="over the limit of 3"):
        further_entries(written(form, ng(b"/c"), ng(b"/d")), KNOWN[form])


def test_further_entries_over_the_size_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ima_format, "MAX_LIST", 10)

    with pytest.raises(DecodeError, match="over the limit of 10"):
        further_entries(ng(b"/c").binary(), KNOWN[ListForm.BINARY])
