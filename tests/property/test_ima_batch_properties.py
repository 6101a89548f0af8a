"""Whatever bytes come as an IMA list: read in bulk they yield the same entries, or the same refusal, as one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.test_ima_properties import lists, printable_lists
from tests.unit.ima_lists import RECORDED, VECTORS, Line, ascii_list, binary, sha256
from tests.unit.test_ima_batch import outcome, read_in_bulk

EXAMPLES = 150
LONGEST = 6_000
REAL = [(VECTORS / "ima" / name).read_bytes()[:LONGEST] for name in RECORDED]


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda rest: b"\x0a\0\0\0" + rest)))
@settings(max_examples=EXAMPLES)
def test_any_bytes_come_out_alike(raw: bytes) -> None:
    outcome(raw)


@given(st.text(alphabet="0123456789abcdefA :/-\n", max_size=200))
@settings(max_examples=EXAMPLES)
def test_any_text_comes_out_alike(text: str) -> None:
    outcome(text.encode())


@given(lists, st.sampled_from([binary, ascii_list]), st.booleans())
@settings(max_examples=EXAMPLES)
def test_any_list_that_a_kernel_could_write_comes_out_alike(some: list[Line], form: object, wide: bool) -> None:
    assert callable(form)
    outcome(form(some, sha256) if wide else form(some))


@given(printable_lists)
@settings(max_examples=EXAMPLES)
def test_usual_templates_are_read_in_bulk(some: list[Line]) -> None:
    usual = [line for line in some if line.template != "ima"]

    assert not usual or read_in_bulk(binary(usual)) is not None
    assert not usual or read_in_bulk(ascii_list(usual)) is not None


@given(st.sampled_from(REAL), st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_recorded_list_with_changed_bytes_comes_out_alike(raw: bytes, data: st.DataObject) -> None:
    changed = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))

    outcome(bytes(changed))


@given(lists, st.sampled_from([binary, ascii_list]), st.data())
@settings(max_examples=EXAMPLES)
def test_a_cut_or_doubled_or_patched_list_comes_out_alike(some: list[Line], form: object, data: st.DataObject) -> None:
    assert callable(form)
    raw: bytes = form(some)
    start = data.draw(st.integers(0, len(raw)))
    stop = data.draw(st.integers(start, len(raw)))

    outcome(raw[:stop])
    outcome(raw[:stop] + raw[start:])
    outcome(raw[:start] + data.draw(st.binary(max_size=4)) + raw[stop:])
