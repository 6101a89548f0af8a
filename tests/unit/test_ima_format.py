"""IMA lists decode as the kernel wrote them, in both forms, or are refused where they break."""

from collections.abc import Callable

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import ima as ima_format
from bartizan.formats.ima import MAX_LIST, decode_ima, encode_binary
from bartizan.model.ima import ImaList, ListForm
from tests.unit.ima_lists import RECORDED, VECTORS, Line, ascii_list, binary, boot, d_ng, ng, old, sha1, sha256, sized

LISTS = {
    "keylime-sha1.ascii": (ListForm.ASCII, 20, 2, 1, ("ima-ng",)),
    "keylime-sha256.ascii": (ListForm.ASCII, 20, 2, 0, ("ima-ng",)),
    "keylime-sha384.ascii": (ListForm.ASCII, 20, 2, 1, ("ima-ng",)),
    "keylime-sha512.ascii": (ListForm.ASCII, 20, 2, 1, ("ima-ng",)),
    "keylime-sm3_256.ascii": (ListForm.ASCII, 32, 2, 1, ("ima-ng",)),
    "keylime-unknown.ascii": (ListForm.ASCII, 32, 2, 1, ("ima-ng",)),
    "keylime-agent.ascii": (ListForm.ASCII, 20, 826, 0, ("ima-ng",)),
    "keylime-one.ascii": (ListForm.ASCII, 20, 1, 0, ("ima-ng",)),
    "hpe.ascii": (ListForm.ASCII, 20, 780, 0, ("ima-ng",)),
    "intel-secl.ascii": (ListForm.ASCII, 20, 101, 2, ("ima-sig",)),
    "ibmtss-sha1.bin": (ListForm.BINARY, 20, 362, 0, ("ima-sig",)),
    "ibmtss-sha256.bin": (ListForm.BINARY, 32, 362, 0, ("ima-sig",)),
    "immune-sr630.bin": (ListForm.BINARY, 20, 3696, 154, ("ima-sig",)),
    "immune-ludmilla-2.bin": (ListForm.BINARY, 20, 1, 0, ("ima-ng",)),
    "boot-good.ascii": (ListForm.ASCII, 20, 113, 0, ("ima-ng",)),
    "boot-attack_noima.ascii": (ListForm.ASCII, 20, 11, 0, ("ima-sig",)),
    "boot-attack_violation.ascii": (ListForm.ASCII, 20, 119, 2, ("ima-ng",)),
}
NOT_LISTS = sorted(path.name for path in VECTORS.glob("ima/*.txt"))

SIG = b"\x03\x02\x04" + b"\x51" * 40
DIGEST = bytes(range(32))
HEX = DIGEST.hex().encode()
TEMPLATES = [
    ng(b"/usr/bin/ls", DIGEST),
    old(b"/usr/bin/old"),
    Line("ima-sig", (d_ng(DIGEST), b"/a\0", SIG), b"sha256:" + HEX + b" /a " + SIG.hex().encode()),
    Line("ima-sig", (d_ng(DIGEST), b"/unsigned\0", b""), b"sha256:" + HEX + b" /unsigned "),
    Line("ima-buf", (d_ng(DIGEST), b"kexec-cmdline\0", b"quiet"), b"sha256:" + HEX + b" kexec-cmdline 7175696574"),
    Line("ima-ngv2", (d_ng(DIGEST, b"ima:sha256"), b"/v2\0"), b"ima:sha256:" + HEX + b" /v2"),
    Line(
        "ima-sigv2",
        (d_ng(DIGEST, b"verity:sha256"), b"/v\0", SIG),
        b"verity:sha256:" + HEX + b" /v " + SIG.hex().encode(),
    ),
    Line(
        "ima-modsig",
        (d_ng(DIGEST), b"/m.ko\0", SIG, d_ng(b"\x07" * 20, b"sha1"), b"\x30\x82"),
        b"sha256:" + HEX + b" /m.ko " + SIG.hex().encode() + b" sha1:" + b"07" * 20 + b" 3082",
    ),
    Line("ima-modsig", (d_ng(DIGEST), b"/plain\0", b"", b"", b""), b"sha256:" + HEX + b" /plain   "),
    Line(
        "evm-sig",
        (
            *(d_ng(DIGEST), b"/e\0", SIG, b"security.ima|security.selinux\0"),
            *(b"\x04\0\0\0\x02\0\0\0", b"\x04\x01ab"),
            *((1000).to_bytes(4, "little"), (2**32 - 1).to_bytes(4, "little"), (0o100755).to_bytes(2, "little")),
        ),
        b"sha256:" + HEX + b" /e " + SIG.hex().encode() + b" security.ima|security.selinux 0400000002000000 04016162"
        b" 1000 4294967295 33261",
    ),
    Line(
        "evm-sig",
        (d_ng(DIGEST), b"memory\0", b"", b"", b"", b"", b"", b"", b""),
        b"sha256:" + HEX + b" memory" + b" " * 7,
    ),
    Line("d|n", (b"\x09" * 16, b"/md5\0"), b"09" * 16 + b" /md5"),
    Line("d-ng|n-ng|iuid", (d_ng(DIGEST), b"/custom\0", b"\x01\0\0\0"), b"sha256:" + HEX + b" /custom 1"),
]


def vector(name: str) -> ImaList:
    return decode_ima((VECTORS / "ima" / name).read_bytes())


def refusal(raw: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode_ima(raw)
    return caught.value


@pytest.mark.parametrize("name", LISTS)
def test_a_recorded_list_decodes(name: str) -> None:
    form, digest_size, entries, violations, templates = LISTS[name]

    found = vector(name)

    assert (found.form, found.digest_size, len(found.entries)) == (form, digest_size, entries)
    assert sum(entry.is_violation for entry in found.entries) == violations
    assert found.templates == templates
    assert [entry.index for entry in found.entries] == list(range(entries))


def test_every_recorded_list_is_in_the_table() -> None:
    assert set(LISTS) == set(RECORDED)


@pytest.mark.parametrize("name", NOT_LISTS)
def test_a_command_line_is_not_a_list(name: str) -> None:
    assert refusal((VECTORS / "ima" / name).read_bytes()).offset == 0


@pytest.mark.parametrize("name", [name for name in LISTS if name.endswith(".bin")])
def test_a_binary_list_encodes_to_the_same_bytes(name: str) -> None:
    assert encode_binary(vector(name)) == (VECTORS / "ima" / name).read_bytes()


@pytest.mark.parametrize("name", ["good", "attack_noima", "attack_violation"])
def test_the_two_forms_of_one_boot_agree(name: str) -> None:
    at_quote = decode_ima(boot(name)[0])
    later = vector(f"boot-{name}.ascii")

    assert later.entries[: len(at_quote.entries)] == at_quote.entries


def test_the_two_columns_of_one_machine_hold_the_same_entries() -> None:
    narrow, wide = vector("ibmtss-sha1.bin"), vector("ibmtss-sha256.bin")

    assert [entry.template_data for entry in narrow.entries] == [entry.template_data for entry in wide.entries]
    assert [entry.path for entry in narrow.entries] == [entry.path for entry in wide.entries]


@pytest.mark.parametrize("line", TEMPLATES, ids=lambda line: f"{line.template} {line.values[1].decode()}")
def test_each_template_says_the_same_in_both_forms(line: Line) -> None:
    (from_binary,) = decode_ima(line.binary()).entries
    (from_text,) = decode_ima(line.ascii()).entries

    assert from_binary == from_text
    assert from_binary.template_data == line.data
    assert from_binary.path == line.values[1][:-1]
    assert from_binary.reported_template_digest == sha1(line.data)


def test_an_entry_holds_what_its_fields_say() -> None:
    lines = {line.template: decode_ima(line.binary()).entries[0] for line in TEMPLATES}

    assert (lines["ima-ng"].digest_alg, lines["ima-ng"].digest, lines["ima-ng"].signature) == ("sha256", DIGEST, b"")
    assert (lines["ima"].digest_alg, lines["ima"].digest) == ("sha1", b"\xd2" * 20)
    assert (lines["d|n"].digest_alg, lines["d|n"].digest) == ("md5", b"\x09" * 16)
    assert (lines["ima-ngv2"].digest_alg, lines["ima-sigv2"].digest_alg) == ("sha256", "verity:sha256")
    assert (lines["ima-sigv2"].signature, lines["ima-buf"].payload) == (SIG, b"quiet")


def test_fields_that_the_form_leaves_out_of_the_end_are_empty() -> None:
    line = ng(b"/a")
    raw = line.ascii().replace(b"ima-ng", b"ima-sig")

    assert decode_ima(raw).entries[0].template_data == line.data + sized(b"")


def test_a_name_may_hold_blanks_and_escape_codes_but_no_line_break() -> None:
    hostile = [ng(b"/opt/a b  c"), ng(b"/\x1b[31m\xff\r\t<b>"), ng(b"/" + b"x" * 4095), ng(b"")]

    assert [entry.path for entry in decode_ima(ascii_list(hostile)).entries] == [
        entry.path for entry in decode_ima(binary(hostile)).entries
    ]


def test_the_binary_form_keeps_a_line_break_in_a_name() -> None:
    forged = b"/a\n10 " + b"00" * 20 + b" ima-ng sha256:00 /b"

    assert decode_ima(ng(forged).binary()).entries[0].path == forged


def test_the_ascii_form_is_refused_where_a_name_breaks_its_line() -> None:
    first = ng(b"/first")

    error = refusal(ascii_list([first, ng(b"/a\nb"), ng(b"/last")]))

    broken = len(first.ascii()) + len(ng(b"/a").ascii())
    assert (error.what, error.offset) == ("IMA entry", broken)


@pytest.mark.parametrize("template", ["ima-future", "d-ng|n-ng|future", "n-ng|d-ng", "d-ng", "|".join(["sig"] * 16)])
def test_an_unknown_template_is_kept_unread(template: str) -> None:
    line = Line(template, (b"\x01", b"\x02\0"), b"01 02")

    (from_binary,) = decode_ima(line.binary()).entries
    (from_text,) = decode_ima(line.ascii()).entries

    assert (from_binary.template, from_binary.template_data) == (template, line.data)
    assert (from_binary.digest_alg, from_binary.digest, from_binary.path) == ("", b"", b"")
    assert (from_text.digest_alg, from_text.path, from_text.template_data) == ("", b"", None)
    assert encode_binary(decode_ima(line.binary())) == line.binary()
    with pytest.raises(ValueError, match=f"entry 0 is of the unknown template {template.split('|', maxsplit=1)[0]}"):
        encode_binary(decode_ima(line.ascii()))


def test_a_list_of_an_ascii_form_encodes_to_the_binary_form() -> None:
    assert encode_binary(decode_ima(ascii_list(TEMPLATES))) == binary(TEMPLATES)


@pytest.mark.parametrize("size", [20, 32, 48, 64])
@pytest.mark.parametrize("form", [binary, ascii_list])
def test_the_size_of_the_template_digests_is_found(
    size: int, form: Callable[[list[Line], Callable[[bytes], bytes]], bytes]
) -> None:
    found = decode_ima(form([ng(b"/v", violation=True), *TEMPLATES], lambda data: (sha256(data) * 2)[:size]))

    assert found.digest_size == size
    assert [entry.path for entry in found.entries[1:]] == [line.values[1][:-1] for line in TEMPLATES]


def test_a_violation_of_an_older_kernel_has_a_short_digest() -> None:
    line = Line("ima-ng", (d_ng(bytes(20)), b"/v\0"), b"sha256:" + b"00" * 20 + b" /v", violation=True)

    assert decode_ima(line.binary()).entries == decode_ima(line.ascii()).entries


def test_other_pcrs_are_read_in_both_forms() -> None:
    lines = [ng(b"/a", pcr=9), ng(b"/b", pcr=23)]

    assert [entry.pcr for entry in decode_ima(ascii_list(lines)).entries] == [9, 23]
    assert decode_ima(ascii_list(lines)).entries == decode_ima(binary(lines)).entries


def test_an_empty_file_holds_no_entries() -> None:
    error = refusal(b"")

    assert (error.what, error.offset, error.why) == ("IMA list", 0, "no entries")


def test_a_list_over_the_size_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_LIST == 64 << 20
    raw = ng(b"/a").binary()
    monkeypatch.setattr(ima_format, "MAX_LIST", len(raw) - 1)

    assert "over the limit" in refusal(raw).why


@pytest.mark.parametrize("form", [binary, ascii_list])
def test_a_list_with_too_many_entries_is_refused(
    form: Callable[[list[Line]], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ima_format, "MAX_ENTRIES", 2)

    assert len(decode_ima(form([ng(b"/a")] * 2)).entries) == 2
    assert "2" in refusal(form([ng(b"/a")] * 3)).why


@pytest.mark.parametrize("form", [binary, ascii_list])
def test_a_pcr_that_no_tpm_has_is_refused(form: Callable[[list[Line]], bytes]) -> None:
    first = ng(b"/a")

    error = refusal(form([first, ng(b"/b", pcr=24)]))

    assert (error.offset, error.why) == (len(form([first])), "PCR 24 does not exist")


NG = ng(b"/a")
BROKEN_BINARY = {
    "cut in the head": (NG.binary()[:20], 0, "IMA entry"),
    "cut in the template's name": (NG.binary()[:31], 28, "IMA template name"),
    "cut in the data": (NG.binary()[:-1], 38, "IMA template data"),
    "a byte too many": (NG.binary() + b"\0", len(NG.binary()), "IMA entry"),
    "a long template name": (NG.binary()[:24] + sized(b"x" * 256) + sized(b""), 28, "IMA template name"),
    "a name of no characters": (NG.binary()[:24] + sized(b"") + sized(b""), 28, "IMA template name"),
    "a name with a blank": (NG.binary()[:24] + sized(b"ima ng") + sized(b""), 28, "IMA template name"),
    "data over the limit": (NG.binary()[:34] + (1 + (1 << 20)).to_bytes(4, "little"), 34, "IMA template data"),
    "a field over its limit": (Line("ima-ng", (d_ng(bytes(194)), b"/a\0"), b"").binary(), 38, "d-ng"),
    "a name over PATH_MAX": (Line("ima-ng", (d_ng(DIGEST), b"x" * 4097 + b"\0"), b"").binary(), 82, "n-ng"),
    "a field beyond the data": (Line("ima-ng", (d_ng(DIGEST),), b"").binary(), 82, "n-ng"),
    "a field too many": (Line("ima-ng", (d_ng(DIGEST), b"/a\0", b""), b"").binary(), 89, "IMA template data"),
    "no terminator": (Line("ima-ng", (d_ng(DIGEST), b"/a"), b"").binary(), 38, "IMA file name"),
    "a terminator inside": (Line("ima-ng", (d_ng(DIGEST), b"/a\0b\0"), b"").binary(), 38, "IMA file name"),
    "an empty name field": (Line("ima-ng", (d_ng(DIGEST), b""), b"").binary(), 38, "IMA file name"),
    "no label": (Line("ima-ng", (DIGEST, b"/a\0"), b"").binary(), 38, "IMA d-ng field"),
    "a label in capitals": (Line("ima-ng", (d_ng(DIGEST, b"SHA256"), b"/a\0"), b"").binary(), 38, "IMA d-ng field"),
    "a typed label in d-ng": (Line("ima-ng", (d_ng(DIGEST, b"ima:sha1"), b"/\0"), b"").binary(), 38, "IMA d-ng field"),
    "an untyped one in d-ngv2": (Line("ima-ngv2", (d_ng(DIGEST), b"/\0"), b"").binary(), 40, "IMA d-ngv2 field"),
    "another type in d-ngv2": (
        Line("ima-ngv2", (d_ng(DIGEST, b"x:sha1"), b"/\0"), b"").binary(),
        40,
        "IMA d-ngv2 field",
    ),
    "a bare digest of an odd size": (Line("d|n", (b"\x01" * 19, b"/\0"), b"").binary(), 35, "IMA d field"),
    "an old entry cut in its digest": (old(b"/a").binary()[:50], 31, "IMA file digest"),
    "an old entry cut in its name": (old(b"/a").binary()[:-1], 55, "IMA file name"),
    "an old entry with a long name": (old(b"x" * 256).binary(), 51, "IMA file name"),
    "an old entry with NUL in its name": (old(b"/a\0b").binary(), 59, "IMA file name"),
}


@pytest.mark.parametrize("case", BROKEN_BINARY)
def test_a_broken_binary_entry_is_refused_where_it_breaks(case: str) -> None:
    raw, offset, what = BROKEN_BINARY[case]

    error = refusal(raw)
    behind = refusal(NG.binary() + raw)

    assert (error.what, error.offset) == (what, offset)
    assert (behind.what, behind.offset) == (what, offset + len(NG.binary()))


GOOD = NG.ascii()
BROKEN_TEXT = {
    "no end of the last line": GOOD[:-1],
    "an empty line": b"\n",
    "a word": b"hello\n",
    "no fields": GOOD[:58] + b"\n",
    "a PCR without its blank": ng(b"/a", pcr=9).ascii()[1:],
    "a PCR with a zero": b"0" + ng(b"/a", pcr=9).ascii()[1:],
    "a PCR of three digits": b"1" + GOOD,
    "a digest in capitals": GOOD.replace(b"sha256:d1", b"sha256:D1"),
    "an odd digest": GOOD.replace(b"sha256:d1", b"sha256:d"),
    "a blank in a digest": GOOD.replace(b"sha256:d1", b"sha256:d 1"),
    "no label": GOOD.replace(b"sha256:", b""),
    "an empty label": GOOD.replace(b"sha256:", b":"),
    "no digest at all": GOOD.replace(b"sha256:" + b"d1" * 32, b""),
    "a template digest in capitals": GOOD[:3] + GOOD[3:43].upper() + GOOD[43:],
    "a template digest of an odd size": GOOD[:3] + b"00" + GOOD[3:],
    "a template name with 256 characters": GOOD.replace(b"ima-ng", b"x" * 256),
    "no name": GOOD.replace(b" /a", b""),
    "a terminator in the name": GOOD.replace(b"/a", b"/a\0b"),
    "a name over PATH_MAX": ng(b"x" * 4097).ascii(),
    "a digest over its limit": GOOD.replace(b"d1" * 32, b"d1" * 195),
    "a signature that is no number": GOOD.replace(b"ima-ng", b"ima-sig").replace(b"/a", b"/a xyz"),
    "a bare digest with a label": GOOD.replace(b"ima-ng", b"ima"),
    "a number over its size": TEMPLATES[-1].ascii().replace(b"/custom 1", b"/custom 4294967296"),
    "a number with a sign": TEMPLATES[-1].ascii().replace(b"/custom 1", b"/custom +1"),
    "a number with a zero before it": TEMPLATES[-1].ascii().replace(b"/custom 1", b"/custom 01"),
}


@pytest.mark.parametrize("case", BROKEN_TEXT)
def test_a_broken_line_is_refused_with_its_offset(case: str) -> None:
    raw = BROKEN_TEXT[case]

    refusal(raw)

    assert refusal(GOOD + raw).offset == len(GOOD)


def test_template_digests_of_two_sizes_in_one_list_are_refused() -> None:
    error = refusal(GOOD + NG.ascii(sha256))

    assert (error.what, error.offset) == ("IMA template digest", len(GOOD))


def test_only_the_old_template_is_without_a_length() -> None:
    line = old(b"/a")
    custom = Line("d|n", line.values, line.text)

    assert decode_ima(line.binary()).entries[0].template_data == line.values[0] + b"/a".ljust(256, b"\0")
    assert decode_ima(custom.binary()).entries[0].template_data == sized(line.values[0]) + sized(b"/a\0")
