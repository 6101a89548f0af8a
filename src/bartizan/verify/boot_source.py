"""Where the first loader came from: disk, PXE or HTTP(S), by its device path, held against the measured boot options.

The path in an image's event is the log's word, since no digest covers it; a boot option's content is measured. It
judges nothing.
"""

from collections.abc import Iterable, Iterator, Sequence

from bartizan.errors import DecodeError
from bartizan.formats.device_path_text import device_path_text
from bartizan.formats.event_data import decode_loaded_image
from bartizan.formats.uefi import decode_variable
from bartizan.formats.uefi_variable import decode_load_option
from bartizan.model.boot_facts import BootSource, BootWay
from bartizan.model.boot_log import Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.model.uefi import LoadOption, PathNode

LOADER_PCR, SETTINGS_PCR = 4, 1
OPTION_TYPES = frozenset({EventType.EFI_VARIABLE_BOOT, EventType.EFI_VARIABLE_BOOT2})
MAC, IPV4, IPV6, URI = (3, 0x0B), (3, 0x0C), (3, 0x0D), (3, 0x18)
"""Messaging nodes of a network boot; UEFI 2.10, 10.3.4."""
FIRMWARE_FILE, FIRMWARE_VOLUME = (4, 6), (4, 7)
"""PIWG firmware file and volume; UEFI PI 1.8, III 8.3."""
LEASED = frozenset({IPV4, IPV6, URI})
"""Nodes whose content is filled in when the network answers; UEFI 2.10, 24.7."""


def boot_source(events: Iterable[Event], bank: HashAlg) -> BootSource | None:
    """The source of the first loader that is no part of the firmware; None where the log shows none."""
    proved = tuple(events)
    options = tuple(_options(proved, bank))
    for event in proved:
        if event.pcr != LOADER_PCR or event.reported_type != EventType.EFI_BOOT_SERVICES_APPLICATION:
            continue
        nodes = _path(event)
        way = way_of(nodes)
        if nodes and way is not BootWay.FIRMWARE:
            named = next((option.description for option in options if _names(option, nodes)), None)
            return BootSource(event=event.index, way=way, untrusted_path=_text(event), option=named)
    return None


def way_of(nodes: Sequence[PathNode]) -> BootWay:
    """How what a path names is fetched; UEFI 2.10, 3.1.2 and 24.7 (HTTP)."""
    kinds = {(node.type, node.subtype) for node in nodes}
    if URI in kinds:
        address = b"".join(node.data for node in nodes if (node.type, node.subtype) == URI)
        return BootWay.HTTPS if address[:6].lower() == b"https:" else BootWay.HTTP
    if kinds & {MAC, IPV4, IPV6}:
        return BootWay.PXE
    return BootWay.FIRMWARE if kinds & {FIRMWARE_FILE, FIRMWARE_VOLUME} else BootWay.DISK


def _path(event: Event) -> tuple[PathNode, ...]:
    try:
        return decode_loaded_image(event.data).path.nodes
    except DecodeError:
        return ()


def _text(event: Event) -> str:
    return device_path_text(decode_loaded_image(event.data).path)


def _options(events: Iterable[Event], bank: HashAlg) -> Iterator[LoadOption]:
    """Active boot options whose content the digest covers, with the variable around it (newer) or without."""
    for event in events:
        if event.pcr != SETTINGS_PCR or event.reported_type not in OPTION_TYPES:
            continue
        try:
            variable = decode_variable(event.data)
            option = decode_load_option(variable.data)
        except DecodeError:
            continue
        covered = event.digests.get(bank) in {bank.digest(event.data), bank.digest(variable.data)}
        if covered and option.active:
            yield option


def _names(option: LoadOption, nodes: Sequence[PathNode]) -> bool:
    """The option's path is a part of this one: its beginning, or from the partition on (UEFI 2.10, 3.1.2)."""
    wanted = option.paths[0].nodes if option.paths else ()
    starts = range(len(nodes) - len(wanted) + 1)
    return bool(wanted) and any(all(map(_same, wanted, nodes[start : start + len(wanted)])) for start in starts)


def _same(wanted: PathNode, found: PathNode) -> bool:
    kind = (wanted.type, wanted.subtype)
    return kind == (found.type, found.subtype) and (kind in LEASED or wanted.data == found.data)
