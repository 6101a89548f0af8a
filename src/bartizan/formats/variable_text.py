"""A measured UEFI variable in words: Secure Boot and its keys, boot options, SBAT. The result is not yet inert."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import singledispatch

from bartizan.errors import DecodeError
from bartizan.formats.device_path_text import device_path_text
from bartizan.formats.guid_names import guid_name
from bartizan.formats.signature_list import SVN_OWNER
from bartizan.formats.x509 import decode_certificate
from bartizan.model.uefi import (
    EFI_GLOBAL,
    IMAGE_SECURITY,
    SHIM_LOCK,
    Absent,
    Authority,
    BootOrder,
    Flag,
    LoadOption,
    Opaque,
    SbatLevel,
    SignatureDatabase,
    SignatureKind,
    SignatureList,
    VariableEvent,
    guid_text,
)

CERTIFICATES_NAMED = 4
ENTRIES_LISTED = 16
KNOWN_VENDORS = frozenset({EFI_GLOBAL, IMAGE_SECURITY, SHIM_LOCK})
COMMON_NAME = re.compile(r"(?:^|, |\+)CN=((?:[^,+\\]|\\.)+)")
COUNTED = {
    SignatureKind.X509: "certificate",
    SignatureKind.SHA256: "SHA-256 image digest",
    SignatureKind.X509_SHA256: "SHA-256 certificate digest",
}


def variable_text(event: VariableEvent) -> str:
    """The variable's name and its value; the vendor too where the name alone does not say whose it is."""
    variable = event.variable
    vendor = "" if variable.vendor in KNOWN_VENDORS else f" of {guid_text(variable.vendor)}"
    return f"{variable.name}{vendor}: {_value(event.value)}"


@singledispatch
def _value(value: object) -> str:
    raise TypeError(type(value))


@_value.register
def _(value: Flag) -> str:
    return {0: "off", 1: "on"}.get(value.value, f"neither on nor off, {value.value}")


@_value.register
def _(_value: Absent) -> str:
    return "absent"


@_value.register
def _(value: SignatureDatabase) -> str:
    counts: Counter[str] = Counter()
    for each in value.lists:
        counts.update(_entry_kind(each, owner) for owner, _ in each.entries)
    if not counts:
        return "empty"
    named = _certificate_names(value.lists)
    return ", ".join(f"{count} × {what}" for what, count in counts.items()) + (f" ({named})" if named else "")


def _entry_kind(each: SignatureList, owner: bytes) -> str:
    if each.kind is None:
        return f"entry of type {guid_text(each.signature_type)}"
    if each.kind is SignatureKind.SHA256 and owner == SVN_OWNER:
        return "security version"
    return COUNTED.get(each.kind, f"{each.kind.value} entry")


def _certificate_names(lists: Sequence[SignatureList]) -> str:
    found = [entry.data for each in lists if each.kind is SignatureKind.X509 for entry in each.entries]
    names = [_common_name(der) for der in found[:CERTIFICATES_NAMED]]
    return "; ".join(names) + ("; …" if len(found) > CERTIFICATES_NAMED else "")


def _common_name(der: bytes) -> str:
    try:
        subject = decode_certificate(der).subject_text
    except DecodeError:
        return "(cannot be read)"
    found = COMMON_NAME.search(subject)
    return found.group(1) if found else subject


@_value.register
def _(value: Authority) -> str:
    owner = f", owner {guid_name(value.owner)}" if value.owner is not None else ""
    if value.kind is SignatureKind.X509:
        return f"allowed by certificate {_common_name(value.data)}{owner}"
    return f"allowed by {value.kind.value} digest {value.data.hex()}{owner}"


@_value.register
def _(value: BootOrder) -> str:
    return ", ".join(f"{number:04X}" for number in value.order[:ENTRIES_LISTED]) + (
        " …" if len(value.order) > ENTRIES_LISTED else ""
    )


@_value.register
def _(value: LoadOption) -> str:
    target = device_path_text(value.paths[0]) if value.paths else "nothing"
    return f"{value.description.strip()} → {target}{'' if value.active else ' (inactive)'}"


@_value.register
def _(value: SbatLevel) -> str:
    first, *rest = value.entries
    dated = f" of {first.fields[0]}" if first.fields else ""
    return (
        f"SBAT level{dated}: {', '.join(f'{entry.component} {entry.generation}' for entry in rest) or 'no component'}"
    )


@_value.register
def _(value: Opaque) -> str:
    return f"{len(value.data)} bytes ({value.reason})"
