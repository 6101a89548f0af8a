"""XML 1.0 with namespaces, bounded: UTF-8, no document type, so no entities and nothing fetched; no instructions."""

from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from bartizan.errors import DecodeError
from bartizan.model.xml import XmlAttribute, XmlElement

MAX_XML = 4 * 1024 * 1024
"""Bytes of a document; a RIM of a whole platform has some ten KB."""
MAX_DEPTH = 32
MAX_ELEMENTS = 50_000
MAX_ATTRIBUTES = 64
"""Of one element; a RIM's Meta has 19."""
MAX_NAMESPACES = 64
"""Known at one element; a RIM has six."""
XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


@dataclass(slots=True)
class _Open:
    """An element whose end has not come yet."""

    name: str
    attributes: list[tuple[str, str]]
    declared: dict[str, str]
    scope: dict[str, str]
    offset: int
    children: list[XmlElement | str] = field(default_factory=list)


def decode_xml(raw: bytes) -> XmlElement:
    """The root element of a document.

    Raises:
        DecodeError: not well-formed, not UTF-8, a document type, an instruction, or a limit is passed.
    """
    if len(raw) > MAX_XML:
        raise DecodeError("XML", 0, f"{len(raw)} bytes are over the limit of {MAX_XML}")
    if 0 in raw:  # expat would take it for UTF-16, with a declared encoding or without
        raise DecodeError("XML", raw.index(0), "UTF-8 without NUL expected")
    builder = _Builder()
    try:
        raw.decode("utf-8")
        builder.parser.Parse(raw, True)
    except expat.ExpatError as error:
        why = expat.errors.messages.get(error.code, "malformed")
        raise DecodeError("XML", max(builder.parser.ErrorByteIndex, 0), f"not XML: {why}") from error
    except UnicodeDecodeError as error:
        raise DecodeError("XML", error.start, "UTF-8 expected") from error
    return builder.roots[0]


class _Builder:
    """Turns expat's events into elements."""

    def __init__(self) -> None:
        self.roots: list[XmlElement] = []
        self._open: list[_Open] = []
        self._elements = 0
        parser = self.parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._document_type
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def _refuse(self, why: str) -> NoReturn:
        raise DecodeError("XML", max(self.parser.CurrentByteIndex, 0), why)

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() != "utf-8":
            self._refuse(f"UTF-8 expected, found encoding {encoding[:40]!a}")

    def _document_type(self, *_arguments: object) -> None:
        self._refuse("a document type is not accepted")

    def _instruction(self, *_arguments: object) -> None:
        self._refuse("a processing instruction is not accepted")

    def _start(self, name: str, flat: list[str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH or len(flat) > 2 * MAX_ATTRIBUTES:
            self._refuse(f"over {MAX_ELEMENTS} elements, {MAX_DEPTH} levels or {MAX_ATTRIBUTES} attributes")
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        declared = {key.partition(":")[2]: value for key, value in pairs if key.split(":", 1)[0] == "xmlns"}
        scope = self._open[-1].scope if self._open else {"": "", "xml": XML_NAMESPACE}
        attributes = [(key, value) for key, value in pairs if key.split(":", 1)[0] != "xmlns"]
        self._check_declared(declared)
        known = {**scope, **declared}
        if len(known) > MAX_NAMESPACES:
            self._refuse(f"more than {MAX_NAMESPACES} namespaces at one element")
        self._open.append(_Open(name, attributes, declared, known, max(self.parser.CurrentByteIndex, 0)))

    def _check_declared(self, declared: dict[str, str]) -> None:
        """Namespaces in XML 1.0, 2.2 and 3: what may not be declared."""
        for prefix, uri in declared.items():
            if prefix in ("xml", "xmlns") or (prefix and not uri) or uri == XML_NAMESPACE:
                self._refuse(f"namespace prefix {prefix[:40]!a} cannot be declared so")

    def _end(self, _name: str) -> None:
        done = self._open.pop()
        namespace, local = self._resolve(done.name, done.scope, default=done.scope[""])
        attributes = tuple(self._attribute(name, value, done.scope) for name, value in done.attributes)
        if len({(one.namespace, one.local) for one in attributes}) != len(attributes):
            self._refuse(f"an attribute of {done.name[:40]!a} stands twice")
        element = XmlElement(
            name=done.name,
            namespace=namespace,
            local=local,
            attributes=attributes,
            declared=done.declared,
            children=tuple(done.children),
            offset=done.offset,
        )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.roots.append(element)

    def _attribute(self, name: str, value: str, scope: dict[str, str]) -> XmlAttribute:
        namespace, local = self._resolve(name, scope, default="")
        return XmlAttribute(name=name, namespace=namespace, local=local, value=value)

    def _resolve(self, name: str, scope: dict[str, str], *, default: str) -> tuple[str, str]:
        prefix, colon, local = name.partition(":")
        if not colon:
            return default, name
        if prefix not in scope or not local or ":" in local:
            self._refuse(f"name {name[:60]!a} has no namespace")
        return scope[prefix], local

    def _text(self, text: str) -> None:
        self._open[-1].children.append(text)
