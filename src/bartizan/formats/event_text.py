"""One line for people about what an event holds. Inert: nothing of the evidence can steer the screen it is shown on.

It says what the log says, no more: whether any of it is proved is decided elsewhere.
"""

from collections import Counter
from collections.abc import Sequence
from functools import singledispatch

from bartizan.formats.device_path import file_path, is_option_rom
from bartizan.formats.device_path_text import device_path_text
from bartizan.formats.guid_names import guid_name
from bartizan.formats.inert import inert
from bartizan.formats.tag_names import tag_name
from bartizan.formats.variable_text import variable_text
from bartizan.model.event_data import (
    BootText,
    BootTextKind,
    DeviceSecurity,
    EventData,
    FirmwareBlob,
    GptPartition,
    HandoffTables,
    Identifier,
    ImageLoad,
    LabelledBlob,
    Locator,
    NoAction,
    PartitionTable,
    PlatformReference,
    Separator,
    StartupLocality,
    Tag,
    TaggedEvents,
    Text,
)
from bartizan.model.uefi import DevicePath, Opaque, VariableEvent, guid_text

LINE = 400
"""Characters of a description: a kernel command line must be readable."""
BYTES_SHOWN = 16
LISTED = 8
NO_ERROR = (0, 0xFFFFFFFF)
FIRMWARE_ERROR = 1
NUL = b"\0"
URI = 1
LOCATORS = {0: "inline", 2: "behind a device path", 3: "in a UEFI variable"}
LOCALITIES = {0: "no H-CRTM", 3: "started by the CPU (locality 3)", 4: "after an H-CRTM (locality 4)"}


def describe(data: EventData) -> str:
    """One short line of printable characters about what `decode_event_data` found."""
    return inert(_line(data), limit=LINE)


@singledispatch
def _line(data: object) -> str:
    raise TypeError(type(data))


@_line.register
def _(data: VariableEvent) -> str:
    return variable_text(data)


@_line.register
def _(data: ImageLoad) -> str:
    return f"{_image(data.path)}, {data.length} bytes in memory"


def _image(path: DevicePath) -> str:
    if not path.nodes:
        return "image without a device path"
    kind = "option ROM " if is_option_rom(path) else ""
    name = file_path(path)
    whole = device_path_text(path)
    return f"{name} from {whole}" if name and name != whole else kind + whole


@_line.register
def _(data: FirmwareBlob) -> str:
    name = data.description.rstrip(b"\0").decode("utf-8", "surrogateescape")
    return f"firmware {name + ' ' if name else ''}at 0x{data.base:x}, {data.length} bytes"


@_line.register
def _(data: HandoffTables) -> str:
    tables = _listed([f"{guid_name(table.vendor)} at 0x{table.address:x}" for table in data.tables])
    name = data.description.rstrip(b"\0").decode("utf-8", "surrogateescape")
    return f"tables {name + ': ' if name else ''}{tables}"


@_line.register
def _(data: PartitionTable) -> str:
    return f"disk {guid_text(data.disk)}: {_listed([_partition(each) for each in data.partitions])}"


def _partition(partition: GptPartition) -> str:
    kind = guid_name(partition.kind)
    return f"{partition.name} ({kind})" if partition.name else kind


@_line.register
def _(data: Separator) -> str:
    if data.value in NO_ERROR:
        return "separator"
    if data.value == FIRMWARE_ERROR:
        return "separator 1: the firmware met an error while it measured"
    return f"separator {_bytes(data.value.to_bytes(4, 'little'))}"


@_line.register
def _(data: StartupLocality) -> str:
    return f"TPM startup: {LOCALITIES.get(data.locality, f'locality {data.locality}')}"


@_line.register
def _(data: PlatformReference) -> str:
    platform = " ".join(part for part in (data.manufacturer, data.model, data.platform_version) if part)
    firmware = " ".join(part for part in (data.firmware_manufacturer, data.firmware_version) if part)
    named = "".join(f", {what} {text}" for what, text in (("platform", platform), ("firmware", firmware)) if text)
    return f"reference manifest {guid_text(data.manifest)}{named}{_locator(data.manifest_locator)}"


def _locator(locator: Locator | None) -> str:
    if locator is None or not locator.data:
        return ""
    if locator.type == URI:
        return f", at {locator.data.rstrip(NUL).decode('utf-8', 'surrogateescape')}"
    return f", {LOCATORS.get(locator.type, f'in a place of type {locator.type}')}"


@_line.register
def _(data: NoAction) -> str:
    return f"{data.signature}, {_bytes(data.data)}"


@_line.register
def _(data: TaggedEvents) -> str:
    return _listed([_tag(tag) for tag in data.tags])


def _tag(tag: Tag) -> str:
    name = tag_name(tag.id)
    if tag.tags:
        counts = Counter(tag_name(each.id) for each in tag.tags)
        return f"{name} ({_listed([f'{count} × {each}' if count > 1 else each for each, count in counts.items()])})"
    return f"{name}: {_bytes(tag.data)}"


@_line.register
def _(data: DeviceSecurity) -> str:
    proof = {None: "", 0: ", authenticated"}.get(data.authentication, ", not authenticated")
    return f"device {device_path_text(data.path) or 'without a path'}{proof}"


@_line.register
def _(data: Text) -> str:
    return data.text.strip() or "(empty)"


@_line.register
def _(data: BootText) -> str:
    if data.kind is BootTextKind.OTHER:
        return data.text.strip() or "(empty)"
    return f"{data.kind.value}: {data.text.strip()}"


@_line.register
def _(data: LabelledBlob) -> str:
    return f"{data.label}, {_bytes(data.data)}"


@_line.register
def _(data: Identifier) -> str:
    return guid_text(data.value)


@_line.register
def _(data: Opaque) -> str:
    return f"{_bytes(data.data)} ({data.reason})" if data.data else "(no data)"


def _listed(parts: Sequence[str]) -> str:
    shown = ", ".join(parts[:LISTED]) or "none"
    return f"{shown} and {len(parts) - LISTED} more" if len(parts) > LISTED else shown


def _bytes(raw: bytes) -> str:
    """Its size and start: as text where it is one, else in hexadecimal."""
    head = raw[:BYTES_SHOWN]
    if not raw.strip(b"\0"):
        return f"{len(raw)} zero bytes" if raw else "no bytes"
    body = raw.rstrip(b"\0")
    if body.isascii() and body.decode().isprintable():
        return f'"{body.decode()}"'
    return f"{len(raw)} bytes {head.hex()}{'…' if len(raw) > BYTES_SHOWN else ''}"
