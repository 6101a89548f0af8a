"""EV_EVENT_TAG: tagged events in a row, and the nested ones of Windows's boot log (WBCL); TCG PFP 1.06, 10.4.2.1.

Ids are their writer's; only those that Windows uses for containers are opened.
"""

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.model.event_data import Tag, TaggedEvents

MAX_TAGS = 16_384
"""Tags in one event, nested ones included; about 2,500 are the most seen (a Windows boot with all its drivers)."""
MAX_DEPTH = 4
"""Deepest nesting; Windows nests twice."""
CONTAINER_MASK, CONTAINER = 0x7FFF0000, 0x40010000
"""Container class with the aggregation bit, measured or not (wbcl.h, SIPAEVENTTYPE_AGGREGATION)."""


def decode_tagged_events(raw: bytes) -> TaggedEvents:
    """One tagged event or several to the end of the bytes.

    Raises:
        DecodeError: none at all, a size beyond what is there, too many tags or nested too deep.
    """
    if not raw:
        raise DecodeError("TCG_PCClientTaggedEvent", 0, "no bytes")
    return TaggedEvents(tags=_Nest(raw).tags(0, len(raw)))


class _Nest:
    """One walk over nested tags; `room` is how many more there may be."""

    __slots__ = ("raw", "room")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.room = MAX_TAGS

    def tags(self, start: int, end: int, depth: int = 1) -> tuple[Tag, ...]:
        reader = LittleReader(self.raw, start=start, end=end)
        if depth > MAX_DEPTH:
            raise reader.refuse("TCG_PCClientTaggedEvent", f"nested deeper than {MAX_DEPTH}")
        found: list[Tag] = []
        while reader.remaining:
            if not self.room:
                raise reader.refuse("TCG_PCClientTaggedEvent", f"more than {MAX_TAGS} tags")
            self.room -= 1
            number = reader.u32("taggedEventID")
            data = reader.take(reader.u32("taggedEventDataSize"), "taggedEventData")
            nested: tuple[Tag, ...] = ()
            if number & CONTAINER_MASK == CONTAINER:
                nested = self.tags(reader.offset - len(data), reader.offset, depth + 1)
            found.append(Tag(id=number, data=data, tags=nested))
        return tuple(found)
