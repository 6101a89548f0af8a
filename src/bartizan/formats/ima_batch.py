"""IMA lists read in bulk: the same entries as the decoders of `ima` and `ima_text` yield, several times faster.

A list of 10,000 entries has to be decoded in some milliseconds, which one object an entry does not allow. So whole runs
of entries of one shape (template, digest label and digest size) are cut out of the bytes by one precompiled layout and
kept as columns. It reads what kernels write every day: a labelled digest, a name and at most one blob. At anything
else, rare or malformed, it answers None for the whole list and the other decoders decide: it refuses nothing itself.
"""

from binascii import unhexlify
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.ima_template import (
    DIGEST,
    MAX_BLOB,
    MAX_DIGEST_FIELD,
    MAX_NAME,
    MAX_TEMPLATE_DATA,
    MAX_TEMPLATE_NAME,
    NAME,
    TEMPLATE_NAME,
    layout_of,
    meaning_of,
)
from bartizan.formats.reader import LITTLE_U32 as U32
from bartizan.formats.reader import LittleReader
from bartizan.model.digest import PCR_COUNT
from bartizan.model.ima import ImaColumns

LABELLED = ("d-ng", "d-ngv2")
MOST_FIELDS = 3
SIZE, PCR_SIZE = 4, 4
"""Bytes of a length and of the PCR number."""
PCR_TEXTS = {b"%d" % pcr: pcr for pcr in range(10, PCR_COUNT)}
"""PCRs as the ascii form has them; a single digit has a blank before it and is left to the other decoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What entries of one kind have in common.

    `label` is the digest field up to its digest, with the field's length before it; `blob` is the third field's column,
    None where there are two fields.
    """

    template: str
    digest_alg: str
    label: bytes
    digest_size: int
    blob: str | None


@lru_cache(maxsize=64)
def shape_of(template: bytes, label: bytes, digest_size: int) -> Shape | None:
    """The shape of entries with this template, digest label (`sha256`, `ima:sha256`) and digest size; None if none."""
    layout = layout_of(template.decode("ascii")) if TEMPLATE_NAME.fullmatch(template) else None
    if layout is None or len(layout.fields) > MOST_FIELDS or layout.fields[DIGEST] not in LABELLED:
        return None
    third = len(layout.fields) == MOST_FIELDS
    blob = "signatures" if layout.signature is not None else "payloads" if layout.payload is not None else None
    if layout.fields[NAME] != "n-ng" or third != (blob is not None):
        return None
    value = label + b":\0" + bytes(digest_size)
    try:
        meaning = meaning_of(layout, (value, b"\0", b""), 0)
    except DecodeError:
        return None
    if len(value) > MAX_DIGEST_FIELD or len(meaning.digest) != digest_size:
        return None
    return Shape(
        template=template.decode("ascii"),
        digest_alg=meaning.digest_alg,
        label=len(value).to_bytes(SIZE, "little") + label + b":\0",
        digest_size=digest_size,
        blob=blob,
    )


@dataclass(slots=True)
class _Columns:
    """Columns while they grow."""

    pcrs: bytearray = field(default_factory=bytearray)
    reported: list[bytes] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    paths: list[bytes] = field(default_factory=list)
    runs: list[tuple[Shape, int]] = field(default_factory=list)
    blobs: dict[str, list[bytes]] = field(default_factory=lambda: {"signatures": [], "payloads": []})

    def end_run(self, shape: Shape | None, blobs: Iterable[bytes]) -> None:
        """Note the shape of all entries since the last run; there are none where there is no shape."""
        count = len(self.paths) - len(self.blobs["signatures"])
        if shape is None:
            return
        self.runs.append((shape, count))
        for name, column in self.blobs.items():
            column.extend(blobs if shape.blob == name else [b""] * count)

    def finished(self) -> ImaColumns:
        return ImaColumns(
            pcrs=bytes(self.pcrs),
            reported_template_digests=tuple(self.reported),
            templates=self._of_runs(lambda shape: shape.template),
            template_data=tuple(self.data),
            digest_algs=self._of_runs(lambda shape: shape.digest_alg),
            digests=tuple(self.digests),
            paths=tuple(self.paths),
            signatures=tuple(self.blobs["signatures"]),
            payloads=tuple(self.blobs["payloads"]),
        )

    def _of_runs(self, value: Callable[[Shape], str]) -> tuple[str, ...]:
        found: list[str] = []
        for shape, count in self.runs:
            found += [value(shape)] * count
        return tuple(found)


def binary_columns(raw: bytes, column_size: int) -> ImaColumns | None:
    """A binary list's entries, their template digests `column_size` bytes long; None if it has others than usual."""
    columns = _Columns()
    at = 0
    while at < len(raw):
        shape = _shape_at(raw, at + PCR_SIZE + column_size)
        stop = at if shape is None else _read_run(raw, at, shape, columns=columns, column_size=column_size)
        if stop == at:
            return None
        at = stop
    return columns.finished()


def _shape_at(raw: bytes, start: int) -> Shape | None:
    """The shape of the entry whose template name stands here."""
    reader = LittleReader(raw, start=start)
    try:
        template = reader.sized32("IMA template name", limit=MAX_TEMPLATE_NAME)
        reader.u32("IMA template data")
        label, _, digest = reader.sized32("IMA file digest", limit=MAX_DIGEST_FIELD).partition(b":\0")
    except DecodeError:
        return None
    return shape_of(template, label, len(digest))


def _read_run(raw: bytes, at: int, shape: Shape, *, columns: _Columns, column_size: int) -> int:
    """Read entries of this shape and of the first one's PCR; the offset of the first one that is not.

    Each has: PCR, template digest, template name behind its length, data length; and in the data the digest field, the
    name's length, the name with its terminator, and the blob behind its length.
    """
    template = len(shape.template).to_bytes(SIZE, "little") + shape.template.encode()
    layout = Struct(f"<I{column_size}s{len(template)}sI{len(shape.label)}s{shape.digest_size}sI")
    before_data = PCR_SIZE + column_size + len(template) + SIZE
    before_name = layout.size - before_data
    longest = before_name + MAX_NAME
    label, has_blob, last = shape.label, shape.blob is not None, len(raw) - layout.size
    add_reported, add_data, add_digest = columns.reported.append, columns.data.append, columns.digests.append
    add_path, blobs, number = columns.paths.append, list[bytes](), LittleReader(raw, start=at).u32("IMA entry")
    while at <= last and number < PCR_COUNT:
        pcr, reported, found, size, found_label, digest, name_size = layout.unpack_from(raw, at)
        start = at + before_data
        at_end, end = start + size, before_name + name_size
        data = raw[start:at_end]
        if found != template or found_label != label or pcr != number:
            break
        if data.find(b"\0", before_name, longest) != end - 1:
            break
        if has_blob:
            blob = _blob(data, end) if len(data) == size else None
            if blob is None:
                break
            blobs.append(blob)
        elif end != size:
            break
        add_reported(reported)
        add_data(data)
        add_digest(digest)
        add_path(data[before_name : end - 1])
        at = at_end
    columns.pcrs += bytes([number]) * (len(columns.paths) - len(columns.pcrs)) if number < PCR_COUNT else b""
    columns.end_run(shape, blobs)
    return at


def _blob(data: bytes, start: int) -> bytes | None:
    """The last field, which ends the data; None if it does not, or if either is too long."""
    blob = data[start + SIZE :]
    held = data[start : start + SIZE] == len(blob).to_bytes(SIZE, "little")
    return blob if held and len(blob) <= MAX_BLOB and len(data) <= MAX_TEMPLATE_DATA else None


def ascii_columns(raw: bytes, column_sizes: Collection[int]) -> tuple[int, ImaColumns] | None:
    """The size of the template digests and the entries of an ascii list; None if it has others than usual.

    Its lines have: PCR, template digest, template, digest, name, and where there is a blob that too unless it is empty.
    """
    *lines, rest = raw.split(b"\n")
    if rest or b"\0" in raw:
        return None
    columns = _Columns()
    try:
        _read_lines(lines, columns)
    except ValueError:
        return None
    sizes = set(map(len, columns.reported))
    size = min(sizes, default=0)
    return (size, columns.finished()) if sizes == {size} and size in column_sizes else None


def _read_lines(lines: Iterable[bytes], columns: _Columns) -> None:
    """Read all lines.

    Raises:
        ValueError: one is of no usual shape, or not as the kernel writes it.
    """
    known: tuple[bytes, bytes, int] | None = None
    shape: Shape | None = None
    blobs, digits = list[bytes](), list[bytes]()
    add_pcr, add_reported, add_data = columns.pcrs.append, columns.reported.append, columns.data.append
    add_digest, add_path, add_digits, pack_size = columns.digests.append, columns.paths.append, digits.append, U32.pack
    for line in lines:
        pcr, reported, template, labelled, path = line.split(b" ", 4)
        label, mark, digest = labelled.rpartition(b":")
        if (template, label, len(digest)) != known:
            columns.end_run(shape, blobs)
            known, blobs = (template, label, len(digest)), []
            shape = shape_of(template, label, len(digest) // 2) if mark else None
        if shape is None or pcr not in PCR_TEXTS:
            raise ValueError("not of a usual shape")
        tail = b""
        if shape.blob is not None:
            path, tail = _name_and_blob(path, blobs)
        raw_digest = unhexlify(digest)
        add_pcr(PCR_TEXTS[pcr])
        add_reported(unhexlify(reported))
        add_data(b"".join((shape.label, raw_digest, pack_size(len(path) + 1), path, b"\0", tail)))
        add_digest(raw_digest)
        add_path(path)
        add_digits(reported + digest)
    columns.end_run(shape, blobs)
    hexadecimal = b"".join(digits)
    if hexadecimal != hexadecimal.lower() or max(map(len, columns.paths), default=0) >= MAX_NAME:
        raise ValueError("not as the kernel writes it")


def _name_and_blob(text: bytes, blobs: list[bytes]) -> tuple[bytes, bytes]:
    """The name, and the last field as the kernel hashed it; without a blank there is only a name.

    Raises:
        ValueError: the last field is not lower-case hexadecimal, or too long.
    """
    name, blank, digits = text.rpartition(b" ")
    blob = unhexlify(digits) if blank else b""
    if len(blob) > MAX_BLOB or (blank and digits != digits.lower()):
        raise ValueError("no blob as the kernel writes it")
    blobs.append(blob)
    return (name if blank else text), U32.pack(len(blob)) + blob
