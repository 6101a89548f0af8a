r"""Device paths written out: `PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0)/HD(1,GPT,…)/\EFI\BOOT\BOOTX64.EFI`.

The text form of UEFI 2.10, 10.6. It is for people and never fails: a node of an unknown kind or with a body that
its kind does not have shows as Path(type,subtype,hex). File names are hostile; show the result through `inert`.
"""

from collections.abc import Callable, Mapping
from struct import Struct
from uuid import UUID

from bartizan.model.uefi import DevicePath, Guid, PathNode, guid_text

GUID = 16
HEX_SHOWN = 32
"""Bytes of an unknown node's body that are written out."""
END_INSTANCE = (0x7F, 0x01)

FIXED: Mapping[tuple[int, int], tuple[Struct, str]] = {
    (1, 1): (Struct("<BB"), "Pci(0x{1:X},0x{0:X})"),
    (1, 2): (Struct("<B"), "PcCard(0x{0:X})"),
    (1, 3): (Struct("<IQQ"), "MemoryMapped(0x{0:X},0x{1:X},0x{2:X})"),
    (1, 5): (Struct("<I"), "Ctrl(0x{0:X})"),
    (1, 6): (Struct("<BQ"), "BMC(0x{0:X},0x{1:X})"),
    (2, 4): (Struct("<I"), "NvdimmAcpiAdr(0x{0:X})"),
    (3, 2): (Struct("<HH"), "Scsi(0x{0:X},0x{1:X})"),
    (3, 3): (Struct("<IQQ"), "Fibre(0x{1:X},0x{2:X})"),
    (3, 4): (Struct("<IQ"), "I1394({1:016X})"),
    (3, 5): (Struct("<BB"), "USB(0x{0:X},0x{1:X})"),
    (3, 6): (Struct("<I"), "I2O(0x{0:X})"),
    (3, 14): (Struct("<IQBBB"), "Uart({1},{2},0x{3:X},0x{4:X})"),
    (3, 15): (Struct("<HHBBB"), "UsbClass(0x{0:X},0x{1:X},0x{2:X},0x{3:X},0x{4:X})"),
    (3, 17): (Struct("<B"), "Unit(0x{0:X})"),
    (3, 18): (Struct("<HHH"), "Sata(0x{0:X},0x{1:X},0x{2:X})"),
    (3, 20): (Struct("<H"), "Vlan({0})"),
    (3, 25): (Struct("<BB"), "UFS(0x{0:X},0x{1:X})"),
    (3, 26): (Struct("<B"), "SD(0x{0:X})"),
    (3, 29): (Struct("<B"), "eMMC(0x{0:X})"),
    (4, 2): (Struct("<IQQ"), "CDROM(0x{0:X},0x{1:X},0x{2:X})"),
    (4, 8): (Struct("<IQQ"), "Offset(0x{1:X},0x{2:X})"),
}
"""Nodes that are a fixed row of numbers; UEFI 2.10, 10.3.2 to 10.3.5."""
GUID_NODES: Mapping[tuple[int, int], str] = {
    (1, 4): "VenHw",
    (3, 10): "VenMsg",
    (4, 3): "VenMedia",
    (4, 5): "Media",
    (4, 6): "FvFile",
    (4, 7): "Fv",
}
"""Nodes that are a GUID and perhaps more."""
PNP = 0x41D0
"""The compressed letters `PNP` in an EISA id."""
ACPI_NAMES: Mapping[int, str] = {
    0x0A03: "PciRoot",
    0x0A08: "PcieRoot",
    0x0604: "Floppy",
    0x0301: "Keyboard",
    0x0501: "Serial",
    0x0401: "ParallelPort",
}
GPT_DISK, MBR_DISK = 2, 1
BBS_NAMES = {1: "Floppy", 2: "HD", 3: "CDROM", 4: "PCMCIA", 5: "USB", 6: "Network"}
HARD_DRIVE = Struct("<IQQ16sBB")
ACPI = Struct("<II")
ATA = Struct("<BBH")
MAC = Struct("<32sB")
IPV4 = Struct("<4s4sHHHB")
IPV6 = Struct("<16s16sHHHB")
NVME = Struct("<I8s")
BBS = Struct("<HH")


def device_path_text(path: DevicePath) -> str:
    """The whole path; its instances are parted by commas."""
    instances: list[list[str]] = [[]]
    for node in path.nodes:
        if (node.type, node.subtype) == END_INSTANCE:
            instances.append([])
        else:
            instances[-1].append(node_text(node))
    return ",".join("/".join(nodes) for nodes in instances)


def node_text(node: PathNode) -> str:
    """One node."""
    key = (node.type, node.subtype)
    text = None
    if key in FIXED:
        layout, form = FIXED[key]
        text = form.format(*layout.unpack(node.data)) if len(node.data) == layout.size else None
    elif key in GUID_NODES:
        text = _guid_node(GUID_NODES[key], node.data)
    elif key in SPECIAL:
        text = SPECIAL[key](node.data)
    return _unknown(node) if text is None else text


def _unknown(node: PathNode) -> str:
    body = node.data[:HEX_SHOWN].hex() + ("…" if len(node.data) > HEX_SHOWN else "")
    return f"Path({node.type},{node.subtype},{body})"


def _guid_node(name: str, data: bytes) -> str | None:
    if len(data) < GUID:
        return None
    rest = data[GUID:]
    more = "," + rest[:HEX_SHOWN].hex() + ("…" if len(rest) > HEX_SHOWN else "") if rest else ""
    return f"{name}({guid_text(Guid(data[:GUID]))}{more})"


def _acpi(data: bytes) -> str | None:
    if len(data) != ACPI.size:
        return None
    hid, uid = ACPI.unpack(data)
    if hid & 0xFFFF != PNP:
        return f"Acpi(0x{hid:08X},0x{uid:X})"
    number = hid >> 16
    name = ACPI_NAMES.get(number)
    return f"{name}(0x{uid:X})" if name else f"Acpi(PNP{number:04X},0x{uid:X})"


def _acpi_addresses(data: bytes) -> str | None:
    if not data or len(data) % 4:
        return None
    return f"AcpiAdr({','.join(f'0x{number:X}' for (number,) in Struct('<I').iter_unpack(data))})"


def _ata(data: bytes) -> str | None:
    if len(data) != ATA.size:
        return None
    secondary, slave, lun = ATA.unpack(data)
    return f"Ata({'Secondary' if secondary else 'Primary'},{'Slave' if slave else 'Master'},0x{lun:X})"


def _mac(data: bytes) -> str | None:
    if len(data) != MAC.size:
        return None
    address, kind = MAC.unpack(data)
    return f"MAC({address[:6].hex() if kind in (0, 1) else address.hex()},0x{kind:X})"


def _ipv4(data: bytes) -> str | None:
    if len(data) < IPV4.size:
        return None
    local, remote, _, _, protocol, static = IPV4.unpack_from(data)
    return f"IPv4({_dotted(remote)},0x{protocol:X},{'Static' if static else 'DHCP'},{_dotted(local)})"


def _dotted(address: bytes) -> str:
    return ".".join(str(byte) for byte in address)


def _ipv6(data: bytes) -> str | None:
    if len(data) < IPV6.size:
        return None
    local, remote, _, _, protocol, origin = IPV6.unpack_from(data)
    return f"IPv6({remote.hex(':', 2)},0x{protocol:X},0x{origin:X},{local.hex(':', 2)})"


def _nvme(data: bytes) -> str | None:
    if len(data) != NVME.size:
        return None
    namespace, eui64 = NVME.unpack(data)
    return f"NVMe(0x{namespace:X},{eui64[::-1].hex('-').upper()})"


def _hard_drive(data: bytes) -> str | None:
    if len(data) != HARD_DRIVE.size:
        return None
    number, start, size, signature, _, kind = HARD_DRIVE.unpack(data)
    if kind == GPT_DISK:
        disk = f"GPT,{UUID(bytes_le=signature)}"
    elif kind == MBR_DISK:
        disk = f"MBR,0x{int.from_bytes(signature[:4], 'little'):08X}"
    else:
        disk = f"{kind},{signature.hex()}"
    return f"HD({number},{disk},0x{start:X},0x{size:X})"


def _file(data: bytes) -> str | None:
    if len(data) % 2:
        return None
    return data.decode("utf-16-le", "surrogatepass").partition("\0")[0]


def _uri(data: bytes) -> str:
    return f"Uri({data.decode('utf-8', 'surrogateescape')})"


def _bbs(data: bytes) -> str | None:
    if len(data) < BBS.size:
        return None
    kind, status = BBS.unpack_from(data)
    name = data[BBS.size :].partition(b"\0")[0].decode("latin-1")
    return f"BBS({BBS_NAMES.get(kind, f'0x{kind:X}')},{name},0x{status:X})"


SPECIAL: Mapping[tuple[int, int], Callable[[bytes], str | None]] = {
    (2, 1): _acpi,
    (2, 3): _acpi_addresses,
    (3, 1): _ata,
    (3, 11): _mac,
    (3, 12): _ipv4,
    (3, 13): _ipv6,
    (3, 23): _nvme,
    (3, 24): _uri,
    (4, 1): _hard_drive,
    (4, 4): _file,
    (5, 1): _bbs,
}
"""Nodes with texts, addresses or choices in them."""
