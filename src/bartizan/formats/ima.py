"""IMA measurement lists, in the kernel's binary and ascii form, to `ImaList` and back. Nothing in one is believed.

Source: Linux, security/integrity/ima/ima_fs.c. A binary entry is little-endian (`ima_canonical_fmt` on big-endian
machines): `pcr u32, template digest, name length u32, name, data length u32, data`; for the template `ima` the data is
20 bytes of digest, a length and the name, without a length before all. The digest has 20 bytes in
`binary_runtime_measurements` and the size of its algorithm in `…_<algorithm>`: nothing in the file says which, so the
size is the smallest one that fits the whole file. A wrong guess could not replay.
"""

from collections.abc import Iterable
from dataclasses import replace
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.ima_batch import ascii_columns, binary_columns
from bartizan.formats.ima_template import (
    FIELD_LIMITS,
    MAX_TEMPLATE_DATA,
    MAX_TEMPLATE_NAME,
    OLD_DIGEST_SIZE,
    OLD_NAME_SIZE,
    OLD_TEMPLATE,
    TEMPLATE_NAME,
    UNREAD,
    Layout,
    Meaning,
    layout_of,
    meaning_of,
    old_template_data,
)
from bartizan.formats.ima_text import ascii_entries
from bartizan.formats.reader import LittleReader
from bartizan.model.digest import PCR_COUNT
from bartizan.model.ima import ImaColumns, ImaEntry, ImaList, ListForm

MAX_LIST = 64 << 20
"""Ours: some 400,000 entries with signatures; the kernel sets no limit."""
MAX_ENTRIES = 1_000_000
"""Ours: what a busy build server measures in months."""
COLUMN_SIZES = (20, 32, 48, 64)
"""Sizes of SHA-1, SHA-256 and SM3, SHA-384, SHA-512."""
PCR_SIZE = 4
HEADS = {size: Struct(f"<I{size}sI") for size in COLUMN_SIZES}

Templates = dict[bytes, tuple[str, Layout | None]]


def decode_ima(raw: bytes) -> ImaList:
    """A measurement list of either form, told apart by its first bytes; security/integrity/ima/ima_fs.c.

    Raises:
        DecodeError: empty, too large, cut inside an entry, or not such a list.
    """
    return _in_bulk(raw) or entry_by_entry(raw)


def entry_by_entry(raw: bytes) -> ImaList:
    """The same without `ima_batch`: the decoder that every refusal comes from.

    Raises:
        DecodeError: as above.
    """
    if not raw:
        raise DecodeError("IMA list", 0, "no entries")
    _check_size(raw)
    if is_binary(raw):
        return _decode_binary(raw)
    size, entries = ascii_entries(raw, COLUMN_SIZES, MAX_ENTRIES)
    return ImaList(form=ListForm.ASCII, digest_size=size, entries=ImaColumns.of(entries))


def further_entries(raw: bytes, known: ImaList) -> ImaColumns:
    """The entries that follow a list's, in its form and with template digests of its size; there may be none.

    Raises:
        DecodeError: too many, of another form or size, cut inside an entry, or no entries. Offsets count from here.
    """
    _check_size(raw)
    if raw and is_binary(raw) != (known.form is ListForm.BINARY):
        raise DecodeError("IMA list", 0, f"further entries in {known.form.value} form expected")
    first = len(known.entries)
    columns = _further(raw, known)
    if first + len(columns) > MAX_ENTRIES:
        raise DecodeError("IMA list", 0, f"{first + len(columns)} entries are over the limit of {MAX_ENTRIES}")
    return replace(columns, first=first)


def _further(raw: bytes, known: ImaList) -> ImaColumns:
    if not raw:
        return ImaColumns.of(())
    if known.form is ListForm.BINARY:
        found = binary_columns(raw, known.digest_size)
        return ImaColumns.of(_entries(raw, HEADS[known.digest_size])) if found is None else found
    sized = ascii_columns(raw, (known.digest_size,))
    return ImaColumns.of(ascii_entries(raw, (known.digest_size,), MAX_ENTRIES)[1]) if sized is None else sized[1]


def is_binary(raw: bytes) -> bool:
    """The first entry starts with a PCR number, not with its text."""
    return raw[1:4] == b"\0\0\0"


def _check_size(raw: bytes) -> None:
    if len(raw) > MAX_LIST:
        raise DecodeError("IMA list", 0, f"{len(raw)} bytes are over the limit of {MAX_LIST}")


def _in_bulk(raw: bytes) -> ImaList | None:
    """The list as `ima_batch` reads it, if it can: in the smallest size that may fit, which decides if it fits."""
    if len(raw) > MAX_LIST:
        return None
    if not is_binary(raw):
        found = ascii_columns(raw, COLUMN_SIZES)
        return None if found is None else _of_bulk(ListForm.ASCII, *found)
    size = next((size for size in COLUMN_SIZES if _may_have(raw, size)), COLUMN_SIZES[0])
    columns = binary_columns(raw, size)
    return None if columns is None else _of_bulk(ListForm.BINARY, size, columns)


def _of_bulk(form: ListForm, size: int, columns: ImaColumns) -> ImaList | None:
    if not 0 < len(columns) <= MAX_ENTRIES:
        return None
    return ImaList(form=form, digest_size=size, entries=columns)


def _decode_binary(raw: bytes) -> ImaList:
    """The reading with the smallest digest that fits; where none fits, the error of the one that came furthest."""
    errors: list[DecodeError] = []
    for size in [size for size in COLUMN_SIZES if _may_have(raw, size)] or COLUMN_SIZES[:1]:
        try:
            columns = ImaColumns.of(_entries(raw, HEADS[size]))
        except DecodeError as error:
            errors.append(error)
        else:
            return ImaList(form=ListForm.BINARY, digest_size=size, entries=columns)
    raise max(errors, key=lambda error: error.offset)


def _may_have(raw: bytes, size: int) -> bool:
    """With template digests of this size the first entry has a template's name where it belongs."""
    reader = LittleReader(raw)
    try:
        reader.take(PCR_SIZE + size, "IMA entry")
        name = reader.sized32("IMA template name", limit=MAX_TEMPLATE_NAME)
    except DecodeError:
        return False
    return TEMPLATE_NAME.fullmatch(name) is not None


def _entries(raw: bytes, head: Struct) -> tuple[ImaEntry, ...]:
    reader = LittleReader(raw)
    entries: list[ImaEntry] = []
    templates: Templates = {}
    while reader.remaining:
        if len(entries) == MAX_ENTRIES:
            raise reader.refuse("IMA list", f"more than {MAX_ENTRIES} entries")
        pcr, column, name_size = reader.unpack(head, "IMA entry")
        if pcr >= PCR_COUNT:
            raise DecodeError("IMA entry", reader.offset - head.size, f"PCR {pcr} does not exist")
        template, layout = _template(reader, name_size, templates)
        data, meaning = _old_data(reader) if template == OLD_TEMPLATE else _data(raw, reader, layout)
        entries.append(
            ImaEntry(
                index=len(entries),
                pcr=pcr,
                reported_template_digest=column,
                template=template,
                template_data=data,
                digest_alg=meaning.digest_alg,
                digest=meaning.digest,
                path=meaning.path,
                signature=meaning.signature,
                payload=meaning.payload,
            )
        )
    return tuple(entries)


def _template(reader: LittleReader, size: int, known: Templates) -> tuple[str, Layout | None]:
    """The entry's template by name; `known` remembers the names of this list."""
    if size > MAX_TEMPLATE_NAME:
        raise reader.refuse("IMA template name", f"length {size} is over the limit of {MAX_TEMPLATE_NAME}")
    start = reader.offset
    name = reader.take(size, "IMA template name")
    found = known.get(name)
    if found is None:
        if not TEMPLATE_NAME.fullmatch(name):
            raise DecodeError("IMA template name", start, f"printable characters expected, found {name[:40]!a}")
        text = name.decode("ascii")
        found = known[name] = (text, layout_of(text))
    return found


def _data(raw: bytes, reader: LittleReader, layout: Layout | None) -> tuple[bytes, Meaning]:
    """An entry's data behind its length, and what its fields say."""
    data = reader.sized32("IMA template data", limit=MAX_TEMPLATE_DATA)
    if layout is None:
        return data, UNREAD
    start = reader.offset - len(data)
    fields = LittleReader(raw, start=start, end=reader.offset)
    values = [fields.sized32(field, limit=FIELD_LIMITS[field]) for field in layout.fields]
    fields.finish("IMA template data")
    return data, meaning_of(layout, values, start)


def _old_data(reader: LittleReader) -> tuple[bytes, Meaning]:
    """The data of the template `ima`, as the kernel hashes it."""
    digest = reader.take(OLD_DIGEST_SIZE, "IMA file digest")
    name = reader.sized32("IMA file name", limit=OLD_NAME_SIZE - 1)
    if b"\0" in name:
        raise reader.refuse("IMA file name", "it has a terminator inside")
    return old_template_data(digest, name), Meaning("sha1", digest, name, b"", b"")


def encode_binary(ima: ImaList) -> bytes:
    """The list in the kernel's binary form.

    Raises:
        ValueError: an entry's template data is not known (an ascii list of an unknown template).
    """
    return b"".join(encode_entries(ima.entries))


def encode_entries(entries: Iterable[ImaEntry]) -> list[bytes]:
    """Each entry in the kernel's binary form.

    Raises:
        ValueError: as for `encode_binary`.
    """
    return [_encoded(entry) for entry in entries]


def _encoded(entry: ImaEntry) -> bytes:
    if entry.template_data is None:
        raise ValueError(f"entry {entry.index} is of the unknown template {entry.template}")
    body = entry.digest + _sized(entry.path) if entry.template == OLD_TEMPLATE else _sized(entry.template_data)
    return entry.pcr.to_bytes(4, "little") + entry.reported_template_digest + _sized(entry.template.encode()) + body


def _sized(value: bytes) -> bytes:
    return len(value).to_bytes(4, "little") + value
