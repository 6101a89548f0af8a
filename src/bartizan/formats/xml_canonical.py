"""Canonical XML 1.0 (inclusive) and Exclusive Canonical XML 1.0, both without comments: the bytes that are signed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bartizan.formats.xml_tree import XML_NAMESPACE
from bartizan.model.xml import XmlAttribute, XmlElement

INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
METHODS = frozenset({INCLUSIVE, EXCLUSIVE})
TEXT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
VALUE_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})


def canonical(
    root: XmlElement, apex: XmlElement, *, method: str = INCLUSIVE, without: XmlElement | None = None
) -> bytes:
    """The canonical form of `apex` (the root or an element below it), leaving out one element with all it holds.

    method: `INCLUSIVE` or `EXCLUSIVE`. Below the root, the inclusive form takes over the namespaces in scope and the
    `xml:` attributes of the ancestors; Canonical XML 1.0, 2.4.
    """
    ancestors = _ancestors(root, apex)
    scope: dict[str, str] = {}
    inherited: dict[str, XmlAttribute] = {}
    for ancestor in ancestors:
        scope |= ancestor.declared
        inherited |= {one.local: one for one in ancestor.attributes if one.namespace == XML_NAMESPACE}
    own = {one.local for one in apex.attributes if one.namespace == XML_NAMESPACE}
    exclusive = method == EXCLUSIVE
    extra = () if exclusive else tuple(one for local, one in inherited.items() if local not in own)
    writer = _Writer(exclusive=exclusive, without=without)
    return "".join(writer.element(apex, scope, {}, extra)).encode("utf-8")


def without_layout(element: XmlElement) -> XmlElement:
    """The same tree without the text nodes that hold nothing but white space: as it was before it was indented."""
    kept = (child for child in element.children if isinstance(child, XmlElement) or child.strip(" \t\r\n"))
    children = tuple(without_layout(child) if isinstance(child, XmlElement) else child for child in kept)
    return replace(element, children=children)


def _ancestors(root: XmlElement, apex: XmlElement) -> list[XmlElement]:
    """The elements from the root down to the one above `apex`."""
    waiting: list[list[XmlElement]] = [[root]]
    while waiting:
        path = waiting.pop()
        if path[-1] is apex:
            return path[:-1]
        waiting.extend([*path, child] for child in path[-1].elements)
    return []


class _Writer:
    """Writes elements; recursion is as deep as the document, which its decoder bounds."""

    def __init__(self, *, exclusive: bool, without: XmlElement | None) -> None:
        self._exclusive = exclusive
        self._without = without

    def element(
        self,
        element: XmlElement,
        outer: Mapping[str, str],
        rendered: Mapping[str, str],
        extra: tuple[XmlAttribute, ...] = (),
    ) -> Iterator[str]:
        """The text of an element; outer: namespaces in scope around it; rendered: those that are written already."""
        scope = {**outer, **element.declared}
        wanted = self._wanted(element, scope)
        shown = {prefix: uri for prefix, uri in wanted.items() if rendered.get(prefix, "") != uri}
        attributes = sorted((*element.attributes, *extra), key=lambda one: (one.namespace, one.local))
        yield f"<{element.name}"
        for prefix, uri in sorted(shown.items()):
            yield f' xmlns{":" if prefix else ""}{prefix}="{uri.translate(VALUE_ESCAPES)}"'
        for one in attributes:
            yield f' {one.name}="{one.value.translate(VALUE_ESCAPES)}"'
        yield ">"
        inside = {**rendered, **shown}
        for child in element.children:
            if isinstance(child, str):
                yield child.translate(TEXT_ESCAPES)
            elif child is not self._without:
                yield from self.element(child, scope, inside)
        yield f"</{element.name}>"

    def _wanted(self, element: XmlElement, scope: Mapping[str, str]) -> dict[str, str]:
        """The namespaces that must be known at an element: all in scope, or those that its names use."""
        if not self._exclusive:
            return {prefix: uri for prefix, uri in scope.items() if prefix != "xml"}
        used = {element.name.rpartition(":")[0]}
        used |= {one.name.partition(":")[0] for one in element.attributes if ":" in one.name}
        return {prefix: scope.get(prefix, "") for prefix in used - {"xml"}}
