"""Whatever bytes come as a manifest, a key or a token: they are read or refused, and nothing else happens."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.cbor import decode_cbor, encode_cbor
from bartizan.formats.comid import decode_comid
from bartizan.formats.corim import decode_corim, decode_signed_corim
from bartizan.formats.cose import decode_cose
from bartizan.formats.coswid import decode_coswid
from bartizan.formats.ear_claims import decode_ear, decode_ear_cbor
from bartizan.formats.jws import decode_jws
from bartizan.formats.key_file import decode_key_file
from bartizan.formats.swid import decode_swid
from bartizan.formats.xml_canonical import EXCLUSIVE, canonical
from bartizan.formats.xml_tree import decode_xml
from bartizan.verify.xml_signature import verify_document
from tests.unit.manifests import COMID, CORIM, COSWID

VECTORS = Path(__file__).parents[1] / "vectors"
EXAMPLES = 60
DECODERS: list[Callable[[bytes], object]] = [
    *[decode_cbor, decode_comid, decode_corim, decode_signed_corim, decode_cose, decode_coswid],
    *[decode_ear, decode_ear_cbor, decode_jws, decode_key_file, decode_swid, decode_xml],
]
KEY = decode_key_file((VECTORS / "rim" / "nsacyber_HIRS" / "signer.pem").read_bytes())[0].key
RECORDED = [
    path.read_bytes()
    for pattern in ("corim/*/*.cbor", "corim/*/*.cose*", "rim/*/*.swidtag", "ear/*.jwt", "corim/keys/*")
    for path in sorted(VECTORS.glob(pattern))
]

leaves = st.one_of(
    st.integers(-(2**64), 2**64 - 1), st.binary(max_size=20), st.text(max_size=20), st.booleans(), st.none()
)
keys = st.one_of(st.integers(-100, 100), st.text(max_size=5), st.binary(max_size=5))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=15,
)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.__name__)
@given(raw=st.one_of(st.binary(max_size=200), values.map(encode_cbor)))
@settings(max_examples=EXAMPLES)
def test_any_bytes_are_read_or_refused(decoder: Callable[[bytes], object], raw: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decoder(raw)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.__name__)
@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_any_change_of_a_recorded_file_is_read_or_refused(
    decoder: Callable[[bytes], object], data: st.DataObject
) -> None:
    raw = bytearray(data.draw(st.sampled_from(RECORDED)))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))

    with contextlib.suppress(DecodeError):
        decoder(bytes(raw))


@given(values)
@settings(max_examples=2 * EXAMPLES)
def test_what_is_written_as_cbor_is_read_back_and_by_another_reader_too(value: object) -> None:
    raw = encode_cbor(value)

    assert decode_cbor(raw) == value
    assert cbor2.loads(raw) == value
    assert encode_cbor(decode_cbor(raw)) == raw


@given(st.binary(min_size=1, max_size=40))
@settings(max_examples=2 * EXAMPLES)
def test_what_is_read_as_cbor_means_the_same_to_another_reader(raw: bytes) -> None:
    with contextlib.suppress(DecodeError):
        found = decode_cbor(raw)
        if isinstance(found, int | str | bytes | None):
            assert cbor2.loads(raw) == found


@pytest.mark.parametrize(
    ("decoder", "value"), [(decode_comid, COMID), (decode_coswid, COSWID), (decode_corim, cbor2.CBORTag(501, CORIM))]
)
def test_every_truncation_is_refused(decoder: Callable[[bytes], object], value: object) -> None:
    raw = cbor2.dumps(value, default=lambda encoder, tag: encoder.encode(cbor2.CBORTag(tag.tag, tag.value)))
    with contextlib.suppress(DecodeError):
        decoder(raw)

    for size in range(len(raw)):
        with pytest.raises(DecodeError):
            decoder(raw[:size])


names = st.sampled_from(["a", "b", "p:a", "q:b"])
texts = st.text(st.sampled_from("x &<>\"'\r\n\tü€"), max_size=6)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> etree._Element:
    spaces: dict[str | None, str] = {"p": draw(st.sampled_from(["urn:1", "urn:2"])), "q": "urn:3"}
    if draw(st.booleans()):
        spaces[None] = draw(st.sampled_from(["urn:1", "urn:4"]))
    prefix, _, local = draw(names).rpartition(":")
    made = etree.Element(f"{{{spaces[prefix]}}}{local}" if prefix else local, nsmap=spaces)
    for name in draw(st.sets(names, max_size=3)):
        space, _, attribute = name.rpartition(":")
        made.set(f"{{{spaces[space]}}}{attribute}" if space else attribute, draw(texts))
    made.text = draw(texts)
    for _ in range(draw(st.integers(0, 2)) if depth else 0):
        child = draw(elements(depth=depth - 1))
        child.tail = draw(texts)
        made.append(child)
    return made


@given(elements())
@settings(max_examples=EXAMPLES)
def test_any_document_has_lxmls_canonical_forms(made: etree._Element) -> None:
    raw = etree.tostring(made, encoding="utf-8")
    root, other = decode_xml(raw), etree.fromstring(raw)

    assert canonical(root, root) == etree.tostring(other, method="c14n")
    assert canonical(root, root, method=EXCLUSIVE) == etree.tostring(other, method="c14n", exclusive=True)
    assert decode_xml(canonical(root, root)).name == root.name


@given(st.sampled_from(sorted((VECTORS / "rim" / "nsacyber_HIRS").glob("*_*.swidtag"))), st.data())
@settings(max_examples=EXAMPLES)
def test_any_changed_letter_of_a_rim_is_noticed(path: Path, data: st.DataObject) -> None:
    raw = path.read_bytes()
    covered = raw.index(b"<Signature ")
    place = data.draw(
        st.integers(raw.index(b"SoftwareIdentity") + 60, covered - 1).filter(lambda at: raw[at : at + 1].isalnum())
    )
    changed = raw[:place] + (b"7" if raw[place : place + 1] != b"7" else b"8") + raw[place + 1 :]

    with pytest.raises((DecodeError, VerifyError)):
        verify_document(decode_xml(changed), KEY)
