"""Whatever bytes come as an IMA list: it is decoded or refused, and no change of a measured part goes unseen."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.errors import DecodeError
from bartizan.formats.ima import decode_ima, encode_binary
from bartizan.model.digest import HashAlg
from bartizan.model.ima import ImaEntry
from bartizan.verify.ima import verify_ima, violation_kinds
from tests.unit.ima_lists import Line, ascii_list, binary, d_ng, extended

EXAMPLES = 100

names = st.binary(max_size=40).map(lambda name: name.replace(b"\0", b"_"))
printable_names = names.map(lambda name: name.replace(b"\n", b"_"))
blobs = st.binary(max_size=40)
labels = st.sampled_from([b"sha1", b"sha256", b"sha512", b"sm3-256", b"whirl"])
digests = st.builds(d_ng, st.binary(min_size=20, max_size=64), labels)
typed = st.builds(d_ng, st.binary(min_size=20, max_size=64), st.sampled_from([b"ima:sha256", b"verity:sha512"]))


@st.composite
def lines(draw: st.DrawFn, name: st.SearchStrategy[bytes] = names) -> Line:
    """Any entry that a kernel could write, with its ascii form."""
    template = draw(st.sampled_from(["ima", "ima-ng", "ima-sig", "ima-buf", "ima-ngv2", "ima-sigv2", "d-ng|n-ng|sig"]))
    values = [draw(typed if template.endswith("v2") else digests), draw(name) + b"\0"]
    if template == "ima":
        values[0] = draw(st.binary(min_size=20, max_size=20))
    if "sig" in template or "buf" in template:
        values.append(draw(blobs))
    label, mark, digest = values[0].partition(b":\0") if template != "ima" else (b"", b"", values[0])
    text = label + mark[:1] + digest.hex().encode() + b" " + values[1][:-1]
    text += b"".join(b" " + value.hex().encode() for value in values[2:])
    return Line(template, values, text, pcr=draw(st.sampled_from([10, 10, 10, 11])), violation=draw(st.booleans()))


lists = st.lists(lines(), min_size=1, max_size=8)
printable_lists = st.lists(lines(name=printable_names), min_size=1, max_size=8)


def entries_or_none(raw: bytes) -> tuple[ImaEntry, ...] | None:
    try:
        return decode_ima(raw).entries
    except DecodeError as error:
        refused = error
    assert 0 <= refused.offset <= len(raw)
    return None


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda rest: b"\x0a\0\0\0" + rest)))
@settings(max_examples=2 * EXAMPLES)
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    entries_or_none(raw)


@given(st.text(alphabet="0123456789abcdef :/-\n", max_size=200))
@settings(max_examples=EXAMPLES)
def test_any_text_is_decoded_or_refused(text: str) -> None:
    entries_or_none(text.encode())


@given(lists, st.data())
@settings(max_examples=EXAMPLES)
def test_a_changed_list_is_decoded_or_refused_in_either_form(some: list[Line], data: st.DataObject) -> None:
    for raw in (binary(some), ascii_list(some)):
        changed = bytearray(raw)
        for _ in range(data.draw(st.integers(1, 4))):
            changed[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        entries_or_none(bytes(changed))


@given(lists)
@settings(max_examples=EXAMPLES)
def test_a_binary_list_comes_back_byte_for_byte(some: list[Line]) -> None:
    raw = binary(some)

    assert encode_binary(decode_ima(raw)) == raw


@given(printable_lists)
@settings(max_examples=EXAMPLES)
def test_both_forms_hold_the_same_entries(some: list[Line]) -> None:
    assert decode_ima(binary(some)).entries == decode_ima(ascii_list(some)).entries


@given(st.lists(lines(name=printable_names), min_size=1, max_size=3))
@settings(max_examples=EXAMPLES // 4, deadline=None)
def test_a_list_cut_anywhere_is_refused_or_ends_between_two_entries(some: list[Line]) -> None:
    for form in (binary, ascii_list):
        whole = decode_ima(form(some)).entries
        ends = [len(form(some[:size])) for size in range(1, len(some) + 1)]
        for stop in range(len(form(some))):
            found = entries_or_none(form(some)[:stop])
            assert (found is not None) == (stop in ends)
            assert found is None or found == whole[: len(found)]


@given(lists, st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_prefix_that_a_tpm_saw_is_found_in_every_bank(some: list[Line], data: st.DataObject) -> None:
    seen = some[: data.draw(st.integers(1, len(some)))]
    alg = data.draw(st.sampled_from([HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384]))
    padded = data.draw(st.booleans())
    pcrs = {alg: {pcr: extended(seen, alg, pcr=pcr, padded=padded) for pcr in (10, 11)}}

    result = verify_ima(decode_ima(binary(some)), pcrs, pinned=alg)

    if all(line.pcr != 10 for line in seen):
        assert result.matched is None
    elif padded and all_ones(seen):
        assert result.matched is not None
    else:
        assert (result.matched, result.zero_padded) == (len(seen), padded and alg is not HashAlg.SHA1)
    assert set(violation_kinds(result.list)) == {index for index, line in enumerate(some) if line.violation}


def all_ones(some: list[Line]) -> bool:
    """Only violations extended PCR 10, so that nothing tells a padded bank from a plain one."""
    return all(line.violation for line in some if line.pcr == 10)


@given(lists, st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_changed_byte_of_what_was_measured_goes_unseen(some: list[Line], data: st.DataObject) -> None:
    measured = [replace(line, pcr=10, violation=False) for line in some]
    pcrs = {HashAlg.SHA256: {10: extended(measured, HashAlg.SHA256)}}
    index = data.draw(st.integers(0, len(measured) - 1))
    one = bytearray(measured[index].binary())
    one[data.draw(st.integers(0, len(one) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        ima = decode_ima(binary(measured[:index]) + bytes(one) + binary(measured[index + 1 :]))
    except DecodeError:
        return

    result = verify_ima(ima, pcrs, pinned=HashAlg.SHA256)

    same = [entry.template_data for entry in ima.entries] == [line.data for line in measured]
    assert same or result.matched is None
