"""An XML document as decoded: elements, attributes, text. Comments are gone; nothing is proved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class XmlAttribute(NamedTuple):
    """An attribute: its name as written, its namespace (empty when it has none), its local name, its value."""

    name: str
    namespace: str
    local: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class XmlElement:
    """An element; `declared` are the namespaces that stand on it by prefix; `offset` is in bytes of the document.

    Two elements are the same only if they are one and the same.
    """

    name: str
    namespace: str
    local: str
    attributes: tuple[XmlAttribute, ...]
    declared: Mapping[str, str]
    children: tuple["XmlElement | str", ...]
    offset: int

    @property
    def elements(self) -> Iterator["XmlElement"]:
        """The elements right below this one."""
        return (child for child in self.children if isinstance(child, XmlElement))

    @property
    def text(self) -> str:
        """The text right below this one."""
        return "".join(child for child in self.children if isinstance(child, str))

    def attribute(self, local: str, namespace: str = "") -> str | None:
        """An attribute's value."""
        for found in self.attributes:
            if found.local == local and found.namespace == namespace:
                return found.value
        return None

    def walk(self) -> Iterator["XmlElement"]:
        """This element and all below it, in document order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(list(element.elements)))


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlReference:
    """What a signature covers: a URI, the transforms before hashing (by identifier), and the digest it must have."""

    uri: str
    transforms: tuple[str, ...]
    digest_method: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlSignature:
    """An XML signature; `element` and `signed_info` are parts of the document; XML Signature 1.1, 4."""

    element: XmlElement
    signed_info: XmlElement
    canonicalization: str
    method: str
    references: tuple[XmlReference, ...]
    value: bytes
    key_name: str | None
