"""XML: bounded reading, and the canonical form as lxml writes it."""

from pathlib import Path

import pytest
from lxml import etree

from bartizan.errors import DecodeError
from bartizan.formats import xml_tree
from bartizan.formats.xml_canonical import EXCLUSIVE, canonical, without_layout
from bartizan.formats.xml_tree import decode_xml
from bartizan.model.xml import XmlAttribute

RIMS = sorted((Path(__file__).parents[1] / "vectors" / "rim" / "nsacyber_HIRS").glob("*.swidtag"))
DOCUMENTS = [
    b"<a/>",
    b"<a>\r\n text &amp; &lt;b&gt; &#13; &quot;\t</a>",
    b'<a b="1" a="2" c="&lt;&amp;&quot;&#9;&#10;&#13; \'"/>',
    b'<a xmlns="urn:x"><b xmlns=""><c xmlns="urn:x"/></b></a>',
    b'<a xmlns="urn:x" xmlns:p="urn:p" xmlns:q="urn:q"><p:b q:c="1" c="2" xmlns:p="urn:p"/><p:d xmlns:p="urn:z"/></a>',
    b'<a xmlns:z="urn:a" xmlns:y="urn:b"><b y:n="1" z:n="2" n="3"/></a>',
    b'<a xml:lang="en"><b xml:space="preserve"> x </b></a>',
    b"<a>one<!-- gone -->two<![CDATA[<three>]]></a>",
    '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<ü ö="ß">€</ü>\n<!-- end -->'.encode(),
    b'<a><b xmlns:unused="urn:u"><c unused:d="1"/></b></a>',
]


@pytest.mark.parametrize(
    "raw", [*DOCUMENTS, *(path.read_bytes() for path in RIMS)], ids=range(len(DOCUMENTS) + len(RIMS))
)
def test_a_document_has_lxmls_canonical_forms(raw: bytes) -> None:
    root, other = decode_xml(raw), etree.fromstring(raw)

    assert canonical(root, root) == etree.tostring(other, method="c14n", with_comments=False)
    assert canonical(root, root, method=EXCLUSIVE) == etree.tostring(
        other, method="c14n", exclusive=True, with_comments=False
    )


@pytest.mark.parametrize("path", RIMS, ids=lambda path: path.name)
def test_every_element_has_lxmls_exclusive_form(path: Path) -> None:
    root, other = decode_xml(path.read_bytes()), etree.fromstring(path.read_bytes())

    for element, twin in zip(root.walk(), other.iter(), strict=True):
        assert canonical(root, element, method=EXCLUSIVE) == etree.tostring(
            twin, method="c14n", exclusive=True, with_comments=False, with_tail=False
        )


def test_an_element_below_takes_over_what_its_ancestors_say() -> None:
    root = decode_xml(b'<a xmlns:p="urn:p" xml:lang="en"><b xml:lang="de" xml:space="x"><c xml:space="y"/></b></a>')
    below = next(element for element in root.walk() if element.local == "c")

    assert canonical(root, below) == b'<c xmlns:p="urn:p" xml:lang="de" xml:space="y"></c>'
    assert canonical(root, below, method=EXCLUSIVE) == b'<c xml:space="y"></c>'


def test_one_element_can_be_left_out() -> None:
    root = decode_xml(b"<a><b>x</b><b>x</b></a>")
    first, _ = root.elements

    assert canonical(root, root, without=first) == b"<a><b>x</b></a>"


def test_white_space_between_elements_can_be_left_out() -> None:
    root = decode_xml(b"<a>\n  <b> x </b>\n\t<c> <d/> </c></a>")

    assert canonical(*[without_layout(root)] * 2) == b"<a><b> x </b><c><d></d></c></a>"


def test_an_element_of_another_document_stands_alone() -> None:
    assert canonical(decode_xml(b'<a xmlns:p="urn:p"/>'), decode_xml(b"<b/>")) == b"<b></b>"


def test_an_element_is_read() -> None:
    root = decode_xml(b'<p:a xmlns:p="urn:p" p:b="1" b="2">x<c/>y</p:a>')

    assert (root.name, root.namespace, root.local, root.offset) == ("p:a", "urn:p", "a", 0)
    assert root.attributes == (XmlAttribute("p:b", "urn:p", "b", "1"), XmlAttribute("b", "", "b", "2"))
    assert (root.attribute("b"), root.attribute("b", "urn:p"), root.attribute("c")) == ("2", "1", None)
    assert (root.text, [element.local for element in root.elements]) == ("xy", ["c"])
    assert root != decode_xml(b'<p:a xmlns:p="urn:p" p:b="1" b="2">x<c/>y</p:a>')


LAUGHS = b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no element found"),
        (b"<a>", "no element found"),
        (b"<a></b>", "mismatched tag"),
        (b"<a/><b/>", "junk after document element"),
        (b"text", "syntax error"),
        (b"<a b='1' b='2'/>", "duplicate attribute"),
        (b"<a>&b;</a>", "undefined entity"),
        (LAUGHS, "a document type is not accepted"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "a document type is not accepted"),
        (b"<?xml-stylesheet href='x'?><a/>", "a processing instruction is not accepted"),
        (b"<a><?php x ?></a>", "a processing instruction is not accepted"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>', "UTF-8 expected"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "encoding"),
        ("<a/>".encode("utf-16"), "UTF-8 without NUL"),
        ("<a/>".encode("utf-16-be"), "UTF-8 without NUL"),
        (b"\xff\xfe<a/>", "UTF-8 expected"),
        (b"<a>\xff</a>", "UTF-8 expected"),
        (b"<p:a/>", "has no namespace"),
        (b"<a p:b='1'/>", "has no namespace"),
        (b"<a:b:c xmlns:a='urn:a'/>", "has no namespace"),
        (b"<a: xmlns:a='urn:a'/>", "has no namespace"),
        (b"<a xmlns:p=''/>", "cannot be declared so"),
        (b"<a xmlns:xml='urn:x'/>", "cannot be declared so"),
        (b"<a xmlns:xmlns='urn:x'/>", "cannot be declared so"),
        (b"<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "cannot be declared so"),
        (b"<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='1' q:b='2'/>", "stands twice"),
    ],
)
def test_what_is_not_plain_xml_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_xml(raw)

    assert why in refused.value.why
    assert 0 <= refused.value.offset <= len(raw)


@pytest.mark.parametrize(("limit", "value"), [("MAX_DEPTH", 2), ("MAX_ELEMENTS", 2), ("MAX_ATTRIBUTES", 1)])
def test_a_limit_holds(monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    raw = b"<a b='1' c='2'><d><e/></d></a>"
    decode_xml(raw)
    monkeypatch.setattr(xml_tree, limit, value)

    with pytest.raises(DecodeError, match="elements, "):
        decode_xml(raw)


def test_namespaces_have_a_limit() -> None:
    nested = "".join(f"<a xmlns:p{level}='urn:{level}'>" for level in range(31))
    more = " ".join(f"xmlns:q{number}='urn:q'" for number in range(60))

    with pytest.raises(DecodeError, match="more than 64 namespaces"):
        decode_xml(f"{nested}<b {more}/>".encode())


def test_a_large_document_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_tree, "MAX_XML", 3)

    with pytest.raises(DecodeError, match="over the limit of 3"):
        decode_xml(b"<a/>")
