"""PCR values and Reference Values as files: any bytes are read or refused, and what is written is read back."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.errors import DecodeError
from bartizan.formats.pcr_file import decode_pcr_file
from bartizan.formats.reference_file import decode_reference, encode_reference
from bartizan.formats.strict import decimal, hex_bytes, json_value
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet

ALGS = st.sampled_from(list(HashAlg))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def digests(draw: st.DrawFn) -> tuple[HashAlg, bytes]:
    alg = draw(ALGS)
    return alg, draw(st.binary(min_size=alg.size, max_size=alg.size))


@st.composite
def files(draw: st.DrawFn) -> ReferenceFile:
    alg, digest = draw(digests())
    label = draw(st.sampled_from([alg.label, f"verity:{alg.label}", alg.label.replace("_", "-")]))
    return ReferenceFile(path=draw(st.binary(max_size=80)), alg=label, digest=digest)


@st.composite
def events(draw: st.DrawFn) -> ReferenceEvent:
    values = dict(draw(st.lists(digests(), min_size=1, max_size=3)))
    return ReferenceEvent(pcr=draw(st.integers(0, 23)), digests=values, label=draw(st.text(max_size=40)))


SETS = st.builds(
    ReferenceSet,
    name=st.text(max_size=20),
    source=st.text(max_size=20),
    events=st.lists(events(), max_size=4).map(tuple),
    files=st.lists(files(), max_size=4).map(tuple),
    digest=st.just(""),
)


@settings(deadline=None)
@given(reference=SETS)
def test_reference_values_are_read_back_as_they_were_written(reference: ReferenceSet) -> None:
    raw = encode_reference(reference)
    found = decode_reference(raw)

    assert found.events == reference.events
    assert sorted(found.files, key=repr) == sorted(reference.files, key=repr)
    assert (found.name, found.source) == (reference.name, reference.source)
    assert encode_reference(found) == raw


@settings(deadline=None)
@given(reference=SETS, data=st.data())
def test_a_changed_document_is_another_set_or_none(reference: ReferenceSet, data: st.DataObject) -> None:
    raw = bytearray(encode_reference(reference))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = decode_reference(bytes(raw))
    except DecodeError:
        return
    assert encode_reference(found) == bytes(raw)


@settings(deadline=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for decode in (decode_reference, decode_pcr_file):
        try:
            decode(raw)
        except DecodeError as error:
            refusal = error.why
        else:
            continue
        assert refusal


@settings(deadline=None)
@given(document=JSON)
def test_any_json_is_read_or_refused(document: object) -> None:
    raw = json.dumps(document).encode()
    for decode in (decode_reference, decode_pcr_file):
        try:
            decode(raw)
        except DecodeError as error:
            refusal = error.why
        else:
            continue
        assert refusal
    assert json_value(raw, "document") == document


@settings(deadline=None)
@given(
    banks=st.dictionaries(
        ALGS, st.dictionaries(st.integers(0, 23), st.binary(min_size=64, max_size=64), min_size=1), min_size=1
    )
)
def test_pcr_values_are_read_back_as_they_were_written(banks: dict[HashAlg, dict[int, bytes]]) -> None:
    sized = {alg: {pcr: value[: alg.size] for pcr, value in values.items()} for alg, values in banks.items()}
    document = {alg.label: {str(pcr): value.hex() for pcr, value in values.items()} for alg, values in sized.items()}

    assert decode_pcr_file(json.dumps(document).encode()) == sized


@settings(deadline=None)
@given(raw=st.binary(max_size=80), number=st.integers(0, 10**19 - 1))
def test_hexadecimal_and_decimal_are_read_back(raw: bytes, number: int) -> None:
    assert hex_bytes(raw.hex(), "digest") == raw
    assert decimal(str(number), "index") == number


@settings(deadline=None)
@given(text=st.text(max_size=20))
def test_any_text_is_a_number_in_its_one_form_or_refused(text: str) -> None:
    try:
        number = decimal(text, "index")
    except DecodeError:
        number = None
    assert number is None or str(number) == text
    try:
        raw = hex_bytes(text, "digest")
    except DecodeError:
        raw = None
    assert raw is None or raw.hex() == text
