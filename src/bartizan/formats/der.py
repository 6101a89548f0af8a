"""A bounded reader of DER (X.690) that tolerates what vendors get wrong and says so; it knows no certificate.

It never recurses: each format reads its own fixed nesting, one `enter` a level, over windows of one buffer.
Indefinite lengths, tag numbers over 30 and unreasonable sizes are refused; harmless oddities become repairs.
"""

from bartizan.errors import DecodeError
from bartizan.formats.reader import Reader
from bartizan.model.certificate import Repair

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31

MAX_LENGTH_OCTETS = 4
"""Octets of a long-form length; X.690, 8.1.3.5. Four hold far more than any certificate."""
MAX_INTEGER = 2049
"""Octets of an INTEGER: an RSA modulus of 16,384 bits and its sign octet."""
MAX_OID = 64
"""Octets of an OBJECT IDENTIFIER; the longest in the TCG and X.509 registries has 14."""
MAX_UNUSED_BITS = 7
"""Bits of the last octet of a BIT STRING that may not count; X.690, 8.6.2.2."""
HIGH_TAG = 0x1F
LONG_FORM = 0x80
SIGN_BIT = 0x80
TRUE, FALSE = 0xFF, 0x00


def context(number: int, *, constructed: bool = True) -> int:
    """The identifier octet of a context-specific tag."""
    return (0xA0 if constructed else 0x80) | number


class Der(Reader):
    """Reads elements one after the other; `enter` opens one as a window with the same list of repairs."""

    __slots__ = ("_start", "repairs", "tag")

    def __init__(self, data: bytes, *, repairs: list[Repair] | None = None) -> None:
        super().__init__(data)
        self._start = 0
        self.tag = 0
        self.repairs: list[Repair] = [] if repairs is None else repairs

    @property
    def raw(self) -> bytes:
        """The whole element, identifier and length octets included."""
        return self._data[self._start : self._end]

    @property
    def more(self) -> bool:
        """Something is left in this window."""
        return self.offset < self._end

    def note(self, repair: Repair) -> None:
        """Remember an oddity, once."""
        if repair not in self.repairs:
            self.repairs.append(repair)

    def next(self, what: str) -> "Der":
        """The next element, whatever its tag, as a window over its content.

        Raises:
            DecodeError: nothing is left, or a length or tag that DER does not allow.
        """
        start = self.offset
        tag = self.u8(what)
        if tag & HIGH_TAG == HIGH_TAG:
            raise DecodeError(what, start, f"tag 0x{tag:02x} announces a number over 30")
        size = self._length(what)
        if size > self.remaining:
            raise DecodeError(what, start, f"{size} bytes expected, {self.remaining} left")
        child = Der(self._data, repairs=self.repairs)
        child.tag, child._start, child.offset, child._end = tag, start, self.offset, self.offset + size
        self.offset += size
        return child

    def _length(self, what: str) -> int:
        start = self.offset
        first = self.u8(what)
        if first < LONG_FORM:
            return first
        count = first - LONG_FORM
        if not 0 < count <= MAX_LENGTH_OCTETS:
            raise DecodeError(what, start, f"a length of 1 to {MAX_LENGTH_OCTETS} octets expected, found {count}")
        size = int.from_bytes(self.take(count, what), "big")
        if size < max(LONG_FORM, 1 << 8 * (count - 1)):
            self.note(Repair.LONG_LENGTH)
        return size

    def enter(self, tag: int, what: str) -> "Der":
        """The next element, which must have this tag.

        Raises:
            DecodeError: it has another, or none is left.
        """
        start = self.offset
        child = self.next(what)
        if child.tag != tag:
            raise DecodeError(what, start, f"tag 0x{tag:02x} expected, found 0x{child.tag:02x}")
        return child

    def optional(self, tag: int, what: str) -> "Der | None":
        """The next element if it has this tag; otherwise nothing is read."""
        return self.next(what) if self.peek(1) == bytes([tag]) else None

    def inside(self, what: str) -> "Der":
        """The one element that this window consists of.

        Raises:
            DecodeError: none, or something after it.
        """
        child = self.next(what)
        self.finish(what)
        return child

    def integer(self, what: str, *, limit: int = MAX_INTEGER) -> int:
        """An INTEGER of at most `limit` octets."""
        return self.enter(INTEGER, what).number(what, limit=limit)

    def number(self, what: str, *, limit: int = MAX_INTEGER) -> int:
        """This window's content as a signed number.

        Raises:
            DecodeError: it is empty or has more than `limit` octets.
        """
        if not 0 < self.remaining <= limit:
            raise self.refuse(what, f"an integer of 1 to {limit} octets expected, found {self.remaining}")
        content = self.rest()
        if len(content) > 1 and content[0] in (0x00, 0xFF) and (content[0] ^ content[1]) < SIGN_BIT:
            self.note(Repair.LONG_INTEGER)
        return int.from_bytes(content, "big", signed=True)

    def oid(self, what: str) -> str:
        """An OBJECT IDENTIFIER in dotted form."""
        return self.enter(OID, what).dotted(what)

    def dotted(self, what: str) -> str:
        """This window's content as an object identifier; X.690, 8.19.

        Raises:
            DecodeError: it is empty, too long, ends within an arc or pads one.
        """
        start = self.offset
        if not 0 < self.remaining <= MAX_OID:
            raise self.refuse(what, f"an object identifier of 1 to {MAX_OID} octets expected, found {self.remaining}")
        arcs, arc, fresh = [], 0, True
        for octet in self.rest():
            if fresh and octet == LONG_FORM:
                raise DecodeError(what, start, "an arc of the object identifier is padded")
            arc, fresh = arc << 7 | octet & 0x7F, octet < LONG_FORM
            if fresh:
                arcs.append(arc)
                arc = 0
        if not fresh:
            raise DecodeError(what, start, "the object identifier ends within an arc")
        root = min(arcs[0] // 40, 2)
        return ".".join(str(number) for number in (root, arcs[0] - 40 * root, *arcs[1:]))

    def flag(self, what: str) -> bool:
        """A BOOLEAN DEFAULT FALSE: false when none is next.

        Raises:
            DecodeError: its content is not one octet.
        """
        element = self.optional(BOOLEAN, what)
        if element is None:
            return False
        octet = element.u8(what)
        element.finish(what)
        if octet == FALSE:
            self.note(Repair.SPELLED_DEFAULT)
        elif octet != TRUE:
            self.note(Repair.LAX_BOOLEAN)
        return octet != FALSE

    def bits(self, what: str) -> tuple[bytes, int]:
        """A BIT STRING: its octets and how many low bits of the last one do not count.

        Raises:
            DecodeError: the count is over 7, or there is no octet that it could speak of.
        """
        element = self.enter(BIT_STRING, what)
        start = element.offset
        unused, content = element.u8(what), element.rest()
        if unused > MAX_UNUSED_BITS or (unused and not content):
            raise DecodeError(what, start, f"{unused} unused bits in {len(content)} octets")
        return content, unused

    def octet_bits(self, what: str) -> "Der":
        """A BIT STRING of whole octets (a key, a signature) as a window over them.

        Raises:
            DecodeError: some bits do not count.
        """
        element = self.enter(BIT_STRING, what)
        start = element.offset
        unused = element.u8(what)
        if unused:
            raise DecodeError(what, start, f"whole octets expected, {unused} bits are unused")
        return element

    def octets(self, what: str) -> "Der":
        """An OCTET STRING as a window over its content."""
        return self.enter(OCTET_STRING, what)
