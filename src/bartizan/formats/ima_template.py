"""IMA templates: which fields one has, and what the fields say. It knows neither of the list's two forms.

Source: Linux, Documentation/security/IMA-templates.rst and security/integrity/ima/ima_template{,_lib}.c. The kernel
hashes `u32 length ‖ bytes` of every field, little-endian, except for the first template `ima`: 20 bytes of digest and
the name padded with zeros to 256 bytes, without lengths. Fields have ids such as `d-ng`; a template that was made with
`ima_template_fmt=` shows its ids, joined by `|`, as its name.

No digest covers a template's name: who writes the list can put another one on an entry. So a template is known only if
the digest is its first field and the name its second, as in all of the kernel's own: under any such name an entry
names the same digest and file, or is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from bartizan.errors import DecodeError

OLD_TEMPLATE = "ima"
OLD_DIGEST_SIZE = 20
OLD_NAME_SIZE = 256
"""IMA_DIGEST_SIZE, and IMA_EVENT_NAME_LEN_MAX + 1; security/integrity/ima/ima.h."""

MAX_TEMPLATE_NAME = 255
"""15 fields (IMA_TEMPLATE_NUM_FIELDS_MAX) of 16 characters (IMA_TEMPLATE_FIELD_ID_MAX_LEN) and 15 separators."""
MAX_FIELDS = 15
"""IMA_TEMPLATE_NUM_FIELDS_MAX; security/integrity/ima/ima.h."""
MAX_NAME = 4097
"""PATH_MAX with the terminator; names of keyrings and critical data are shorter."""
MAX_DIGEST_FIELD = 7 + 128 + 2 + 64
"""`verity:`, CRYPTO_MAX_ALG_NAME, `:` and NUL, IMA_MAX_DIGEST_SIZE; ima_template_lib.c."""
MAX_BLOB = 1 << 20
"""Ours, for signatures, buffers and extended attributes: the largest attribute has 64 KiB (XATTR_SIZE_MAX)."""
MAX_TEMPLATE_DATA = 1 << 20
"""Ours: as a single field's (MAX_BLOB)."""
TEMPLATE_NAME = re.compile(rb"[!-~]+")

BUILTIN: Mapping[str, tuple[str, ...]] = {
    "ima": ("d", "n"),
    "ima-ng": ("d-ng", "n-ng"),
    "ima-sig": ("d-ng", "n-ng", "sig"),
    "ima-ngv2": ("d-ngv2", "n-ng"),
    "ima-sigv2": ("d-ngv2", "n-ng", "sig"),
    "ima-buf": ("d-ng", "n-ng", "buf"),
    "ima-modsig": ("d-ng", "n-ng", "sig", "d-modsig", "modsig"),
    "evm-sig": (
        *("d-ng", "n-ng", "evmsig", "xattrnames", "xattrlengths", "xattrvalues"),
        *("iuid", "igid", "imode"),
    ),
}
"""The kernel's own templates."""

FIELD_LIMITS: Mapping[str, int] = {
    "d": OLD_DIGEST_SIZE,
    "d-ng": MAX_DIGEST_FIELD,
    "d-ngv2": MAX_DIGEST_FIELD,
    "d-modsig": MAX_DIGEST_FIELD,
    "n": OLD_NAME_SIZE,
    "n-ng": MAX_NAME,
    "sig": MAX_BLOB,
    "evmsig": MAX_BLOB,
    "buf": MAX_BLOB,
    "modsig": MAX_BLOB,
    "xattrnames": MAX_BLOB,
    "xattrlengths": MAX_BLOB,
    "xattrvalues": MAX_BLOB,
    "iuid": 4,
    "igid": 4,
    "imode": 2,
}
"""Each field's id and its largest size in bytes, terminator included."""

DIGEST_FIELDS = ("d", "d-ng", "d-ngv2")
NAME_FIELDS = ("n", "n-ng")
SIGNATURE_FIELDS = ("sig", "evmsig")
PAYLOAD_FIELDS = ("buf", "modsig")
DIGEST, NAME = 0, 1
"""Where a known template has them."""

LABEL = re.compile(rb"(?:ima:|verity:)?[a-z0-9][a-z0-9_-]{0,127}")
"""A hash algorithm by its kernel name (hash_algo_name), in `d-ngv2` with the kind of digest before it."""
OLD_LABELS = {20: "sha1", 16: "md5"}
"""What a digest without a label is, by size; ima_template_hash_algo_allowed()."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A template's fields (first the digest, then the name), and the places of two others; None where it has none."""

    fields: tuple[str, ...]
    signature: int | None
    payload: int | None


class Meaning(NamedTuple):
    """What the fields of one entry say, in the order in which an entry holds it."""

    digest_alg: str
    digest: bytes
    path: bytes
    signature: bytes
    payload: bytes


UNREAD = Meaning("", b"", b"", b"", b"")
"""An entry of a template that is not known."""


def layout_of(template: str) -> Layout | None:
    """The fields of a template by its name or its list of field ids; None if it is not known."""
    fields = BUILTIN.get(template) or tuple(template.split("|"))
    if not 1 < len(fields) <= MAX_FIELDS or not all(field in FIELD_LIMITS for field in fields):
        return None
    if fields[0] not in DIGEST_FIELDS or fields[1] not in NAME_FIELDS:
        return None
    return Layout(
        fields=fields,
        signature=_first(fields, SIGNATURE_FIELDS),
        payload=_first(fields, PAYLOAD_FIELDS),
    )


def _first(fields: tuple[str, ...], wanted: tuple[str, ...]) -> int | None:
    return next((place for place, field in enumerate(fields) if field in wanted), None)


def meaning_of(layout: Layout, values: Sequence[bytes], offset: int) -> Meaning:
    """What field values say; `offset` is where the entry's data stands in the input, for the error.

    Raises:
        DecodeError: a digest or a name is not formed as the kernel forms it.
    """
    label, digest = _labelled(values[DIGEST], layout.fields[DIGEST], offset)
    path = _terminated(values[NAME], offset)
    signature = b"" if layout.signature is None else values[layout.signature]
    payload = b"" if layout.payload is None else values[layout.payload]
    return Meaning(label, digest, path, signature, payload)


def _labelled(value: bytes, field: str, offset: int) -> tuple[str, bytes]:
    """Label and digest of a field: `alg:`, NUL, digest of d-ng; `type:alg:`, NUL, digest of d-ngv2; the digest of d.

    The type `ima` is left out of the label; `verity` stays, since such a digest is not that of the file's bytes.
    """
    if field == "d":
        return _unlabelled(value, offset)
    reported, mark, digest = value.partition(b":\0")
    label = _label(reported, field == "d-ngv2") if mark else None
    if label is None:
        raise DecodeError(f"IMA {field} field", offset, f"a hash algorithm's name expected, found {reported[:40]!a}")
    return label, digest


@lru_cache(maxsize=256)
def _label(reported: bytes, typed: bool) -> str | None:
    """A label as an entry holds it; `typed`: the kind of digest must stand before it, else it must not."""
    if not LABEL.fullmatch(reported) or (b":" in reported) != typed:
        return None
    return reported.removeprefix(b"ima:").decode("ascii")


def _unlabelled(value: bytes, offset: int) -> tuple[str, bytes]:
    label = OLD_LABELS.get(len(value))
    if label is None:
        raise DecodeError("IMA d field", offset, f"a digest of 20 or 16 bytes expected, found {len(value)} bytes")
    return label, value


def _terminated(value: bytes, offset: int) -> bytes:
    if value.find(b"\0") != len(value) - 1 or not value:
        raise DecodeError("IMA file name", offset, "one terminator, and that at the end, expected")
    return value[:-1]


def old_template_data(digest: bytes, name: bytes) -> bytes:
    """What the kernel hashes for the template `ima`; `name` without terminator, at most 255 bytes."""
    return digest + name.ljust(OLD_NAME_SIZE, b"\0")


def template_data(values: Sequence[bytes]) -> bytes:
    """What the kernel hashes for every other template: each field behind its length."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)
