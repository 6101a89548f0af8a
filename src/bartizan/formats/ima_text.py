"""The ascii form of an IMA list: one line an entry. It rebuilds the bytes that the kernel hashed, where it can.

Source: Linux, ima_ascii_measurements_show() in security/integrity/ima/ima_fs.c: `%2d`, the template digest in
hexadecimal, the template's name, then each field behind a blank: digests as `alg:hex`, signatures and buffers in
hexadecimal, numbers in decimal, names as they are. In names the kernel turns blanks into underscores (since 3.13) but
leaves line breaks: such a name breaks its line in two, and the list is refused there. The binary form has no such
limit.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from bartizan.errors import DecodeError
from bartizan.formats.ima_template import (
    FIELD_LIMITS,
    MAX_TEMPLATE_NAME,
    NAME,
    OLD_TEMPLATE,
    UNREAD,
    Layout,
    Meaning,
    layout_of,
    meaning_of,
    old_template_data,
    template_data,
)
from bartizan.model.digest import PCR_COUNT
from bartizan.model.ima import ImaEntry

HEAD = re.compile(rb"([ 1-9][0-9]) ((?:[0-9a-f]{2})+) ([!-~]{1,%d}) (.*)" % MAX_TEMPLATE_NAME)
HEX = re.compile(rb"(?:[0-9a-f]{2})*")
DECIMAL = re.compile(rb"0|[1-9][0-9]{0,9}")

Templates = dict[bytes, tuple[str, Layout | None]]


def ascii_entries(raw: bytes, column_sizes: Collection[int], limit: int) -> tuple[int, tuple[ImaEntry, ...]]:
    """The size of the template digests and the entries of an ascii list.

    column_sizes: digest sizes in bytes that can be; limit: most entries accepted.

    Raises:
        DecodeError: a line is not an entry, or the last one has no end. The offset is that of the line.
    """
    *lines, rest = raw.split(b"\n")
    if rest:
        raise DecodeError("IMA list", len(raw) - len(rest), "the last line has no end")
    if len(lines) > limit:
        raise DecodeError("IMA list", 0, f"{len(lines)} entries are over the limit of {limit}")
    entries: list[ImaEntry] = []
    templates: Templates = {}
    offset = size = 0
    for line in lines:
        entry = _entry(line, offset, len(entries), templates=templates)
        size = size or len(entry.reported_template_digest)
        if len(entry.reported_template_digest) != size or size not in column_sizes:
            raise DecodeError("IMA template digest", offset, f"{len(entry.reported_template_digest)} bytes long")
        entries.append(entry)
        offset += len(line) + 1
    return size, tuple(entries)


def _entry(line: bytes, offset: int, index: int, *, templates: Templates) -> ImaEntry:
    head = HEAD.fullmatch(line)
    if head is None:
        raise DecodeError(
            "IMA entry", offset, f"PCR, template digest, template and fields expected, found {line[:60]!a}"
        )
    pcr = int(head[1])
    if pcr >= PCR_COUNT:
        raise DecodeError("IMA entry", offset, f"PCR {pcr} does not exist")
    if head[3] not in templates:
        name = head[3].decode("ascii")
        templates[head[3]] = (name, layout_of(name))
    template, layout = templates[head[3]]
    data, meaning = (None, UNREAD) if layout is None else _fields(template, layout, head[4], offset=offset)
    return ImaEntry(
        index=index,
        pcr=pcr,
        reported_template_digest=bytes.fromhex(head[2].decode("ascii")),
        template=template,
        template_data=data,
        digest_alg=meaning.digest_alg,
        digest=meaning.digest,
        path=meaning.path,
        signature=meaning.signature,
        payload=meaning.payload,
    )


def _fields(template: str, layout: Layout, text: bytes, *, offset: int) -> tuple[bytes, Meaning]:
    """The bytes that the kernel hashed, and what they say."""
    pieces = _pieces(layout, text.split(b" "))
    if pieces is None:
        raise DecodeError("IMA entry", offset, f"{len(layout.fields)} fields expected for template {template}")
    values = []
    for field, piece in zip(layout.fields, pieces, strict=True):
        value = READERS[field](piece)
        if value is None or len(value) > FIELD_LIMITS[field]:
            raise DecodeError(
                f"IMA {field} field", offset, f"malformed or over {FIELD_LIMITS[field]} bytes: {piece[:40]!a}"
            )
        values.append(value)
    meaning = meaning_of(layout, values, offset)
    if template == OLD_TEMPLATE:
        return old_template_data(meaning.digest, meaning.path), meaning
    return template_data(values), meaning


def _pieces(layout: Layout, found: list[bytes]) -> Sequence[bytes] | None:
    """One piece of text a field; None if they cannot be told apart.

    A name may hold blanks (kernels before 3.13). Empty fields at the end may have lost the blank before them.
    """
    surplus = len(found) - len(layout.fields)
    if surplus > 0:
        end = NAME + surplus + 1
        return [*found[:NAME], b" ".join(found[NAME:end]), *found[end:]]
    if surplus < 0 and all(field in OPTIONAL for field in layout.fields[len(found) :]):
        return [*found, *[b""] * -surplus]
    return found if surplus == 0 else None


def _blob(text: bytes) -> bytes | None:
    return bytes.fromhex(text.decode("ascii")) if HEX.fullmatch(text) else None


def _digest(text: bytes) -> bytes | None:
    """`label:hex`, or nothing at all (`d-modsig` of a file without such a signature)."""
    label, mark, digits = text.rpartition(b":")
    digest = _blob(digits)
    if digest is None or not mark:
        return None if text else b""
    return label + b":\0" + digest


def _name(text: bytes) -> bytes:
    return text + b"\0"


def _names(text: bytes) -> bytes:
    return text + b"\0" if text else b""


def _number(size: int) -> Callable[[bytes], bytes | None]:
    """A number of `size` bytes; nothing at all where there was no file."""

    def read(text: bytes) -> bytes | None:
        if not text:
            return b""
        number = int(text) if DECIMAL.fullmatch(text) else -1
        return number.to_bytes(size, "little") if 0 <= number < 1 << 8 * size else None

    return read


READERS: Mapping[str, Callable[[bytes], bytes | None]] = {
    "d": _blob,
    "d-ng": _digest,
    "d-ngv2": _digest,
    "d-modsig": _digest,
    "n": _name,
    "n-ng": _name,
    "sig": _blob,
    "evmsig": _blob,
    "buf": _blob,
    "modsig": _blob,
    "xattrnames": _names,
    "xattrlengths": _blob,
    "xattrvalues": _blob,
    "iuid": _number(4),
    "igid": _number(4),
    "imode": _number(2),
}
"""From a field's text to its bytes; None for what the kernel does not write."""

OPTIONAL = READERS.keys() - {"d", "d-ng", "d-ngv2", "n", "n-ng"}
"""Fields that can be empty."""
