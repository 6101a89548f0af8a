"""Device paths: their frame is strict, their text never fails."""

import struct
from uuid import UUID

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.device_path import MAX_NODES, MAX_PATH, decode_device_path, file_path, is_option_rom
from bartizan.formats.device_path_text import device_path_text, node_text
from bartizan.model.uefi import DevicePath, PathNode
from tests.unit.uefi_bytes import END, file_node, node, utf16

PCI_ROOT = node(2, 1, struct.pack("<II", 0x0A0341D0, 0))
PCI = node(1, 1, b"\x02\x1f")
GUID = UUID("8c10c67c-f2bc-4940-9e86-bcb4f80a48d1")
OFFSET = node(4, 8, struct.pack("<IQQ", 0, 0xF250, 0x201FF))


def text(*nodes: bytes) -> str:
    return device_path_text(decode_device_path(b"".join(nodes) + END))


def test_a_whole_path_is_written_out() -> None:
    disk = node(4, 1, struct.pack("<IQQ16sBB", 1, 0x800, 0x32000, GUID.bytes_le, 2, 2))
    sata = node(3, 18, struct.pack("<HHH", 1, 0xFFFF, 0))

    whole = text(PCI_ROOT, PCI, sata, disk, file_node(r"\EFI\BOOT\BOOTX64.EFI"))

    assert whole == (
        "PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x1,0xFFFF,0x0)"
        r"/HD(1,GPT,8c10c67c-f2bc-4940-9e86-bcb4f80a48d1,0x800,0x32000)/\EFI\BOOT\BOOTX64.EFI"
    )


def test_no_bytes_are_the_empty_path() -> None:
    assert decode_device_path(b"") == DevicePath(nodes=())
    assert device_path_text(DevicePath(nodes=())) == ""


def test_instances_are_parted_by_commas() -> None:
    assert text(PCI_ROOT, node(0x7F, 0x01), PCI_ROOT, PCI) == "PciRoot(0x0),PciRoot(0x0)/Pci(0x1F,0x2)"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (PCI_ROOT, "4 bytes expected, 0 left"),
        (PCI_ROOT + END[:3], "4 bytes expected, 3 left"),
        (b"\x01\x01\x03\x00" + END, "shorter than the node's header"),
        (b"\x01\x01\x00\x00" + END, "shorter than the node's header"),
        (b"\x01\x01\xff\xff" + END, "65531 bytes expected"),
        (b"test-dev-path", "bytes expected"),
        (PCI_ROOT + END + b"x", "1 bytes left over"),
        (PCI * (MAX_NODES + 1) + END, f"more than {MAX_NODES} nodes"),
        (bytes(MAX_PATH + 1), "over the limit"),
    ],
)
def test_a_malformed_path_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match="device path") as refusal:
        decode_device_path(raw)

    assert why in refusal.value.why


def test_the_most_nodes_are_accepted() -> None:
    assert len(decode_device_path(PCI * MAX_NODES + END).nodes) == MAX_NODES


def test_a_refusal_counts_from_the_start_of_the_whole_input() -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_device_path(b"head" + PCI + b"\x01\x01\x00\x00" + b"tail", start=4, end=14)

    assert refusal.value.offset == 4 + 6 + 2


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (node(1, 2, b"\x01"), "PcCard(0x1)"),
        (node(1, 3, struct.pack("<IQQ", 11, 0x1000, 0x1FFF)), "MemoryMapped(0xB,0x1000,0x1FFF)"),
        (node(1, 4, GUID.bytes_le), f"VenHw({GUID})"),
        (node(1, 4, GUID.bytes_le + b"\xab\xcd"), f"VenHw({GUID},abcd)"),
        (node(1, 4, GUID.bytes_le + bytes(33)), f"VenHw({GUID},{'00' * 32}…)"),
        (node(1, 5, b"\x02\0\0\0"), "Ctrl(0x2)"),
        (node(1, 6, struct.pack("<BQ", 1, 0xCA2)), "BMC(0x1,0xCA2)"),
        (node(2, 1, struct.pack("<II", 0x0A0841D0, 2)), "PcieRoot(0x2)"),
        (node(2, 1, struct.pack("<II", 0x0C0241D0, 2)), "Acpi(PNP0C02,0x2)"),
        (node(2, 1, struct.pack("<II", 0x0A03, 2)), "Acpi(0x00000A03,0x2)"),
        (node(2, 3, struct.pack("<II", 0x80010100, 1)), "AcpiAdr(0x80010100,0x1)"),
        (node(2, 4, b"\x07\0\0\0"), "NvdimmAcpiAdr(0x7)"),
        (node(3, 1, struct.pack("<BBH", 0, 1, 0)), "Ata(Primary,Slave,0x0)"),
        (node(3, 1, struct.pack("<BBH", 1, 0, 0)), "Ata(Secondary,Master,0x0)"),
        (node(3, 2, struct.pack("<HH", 1, 2)), "Scsi(0x1,0x2)"),
        (node(3, 3, struct.pack("<IQQ", 0, 0x5000C500, 1)), "Fibre(0x5000C500,0x1)"),
        (node(3, 4, struct.pack("<IQ", 0, 0xAB)), "I1394(00000000000000AB)"),
        (node(3, 5, b"\x0b\0"), "USB(0xB,0x0)"),
        (node(3, 6, b"\x01\0\0\0"), "I2O(0x1)"),
        (node(3, 10, GUID.bytes_le), f"VenMsg({GUID})"),
        (node(3, 11, bytes.fromhex("a4ae1114f9e0") + bytes(27)), "MAC(a4ae1114f9e0,0x0)"),
        (node(3, 11, bytes(32) + b"\x20"), f"MAC({'00' * 32},0x20)"),
        (node(3, 12, bytes([10, 0, 0, 1, 10, 0, 0, 2]) + bytes(7)), "IPv4(10.0.0.2,0x0,DHCP,10.0.0.1)"),
        (node(3, 12, bytes(8) + struct.pack("<HHHB", 0, 0, 17, 1) + bytes(8)), "IPv4(0.0.0.0,0x11,Static,0.0.0.0)"),
        (node(3, 13, b"\xfe\x80" + bytes(30) + bytes(7)), f"IPv6({'0000:' * 7}0000,0x0,0x0,fe80:{'0000:' * 6}0000)"),
        (node(3, 14, struct.pack("<IQBBB", 0, 115200, 8, 1, 1)), "Uart(115200,8,0x1,0x1)"),
        (node(3, 15, b"\xff" * 7), "UsbClass(0xFFFF,0xFFFF,0xFF,0xFF,0xFF)"),
        (node(3, 17, b"\x01"), "Unit(0x1)"),
        (node(3, 20, b"\x64\0"), "Vlan(100)"),
        (node(3, 23, struct.pack("<I8s", 1, bytes(range(1, 9)))), "NVMe(0x1,08-07-06-05-04-03-02-01)"),
        (node(3, 24, b"https://10.0.0.1/boot.efi"), "Uri(https://10.0.0.1/boot.efi)"),
        (node(3, 25, b"\x01\x02"), "UFS(0x1,0x2)"),
        (node(3, 26, b"\x01"), "SD(0x1)"),
        (node(3, 29, b"\x01"), "eMMC(0x1)"),
        (node(4, 1, struct.pack("<IQQ16sBB", 2, 1, 2, b"\x78\x56\x34\x12", 1, 1)), "HD(2,MBR,0x12345678,0x1,0x2)"),
        (node(4, 1, struct.pack("<IQQ16sBB", 2, 1, 2, b"\xab", 1, 0)), f"HD(2,0,ab{'00' * 15},0x1,0x2)"),
        (node(4, 2, struct.pack("<IQQ", 1, 0x1DB, 0x670)), "CDROM(0x1,0x1DB,0x670)"),
        (node(4, 3, GUID.bytes_le), f"VenMedia({GUID})"),
        (node(4, 5, GUID.bytes_le), f"Media({GUID})"),
        (node(4, 6, GUID.bytes_le), f"FvFile({GUID})"),
        (node(4, 7, GUID.bytes_le), f"Fv({GUID})"),
        (OFFSET, "Offset(0xF250,0x201FF)"),
        (node(5, 1, struct.pack("<HH", 2, 0) + b"Disk\0"), "BBS(HD,Disk,0x0)"),
        (node(5, 1, struct.pack("<HH", 0x80, 0) + b"X"), "BBS(0x80,X,0x0)"),
    ],
)
def test_each_kind_of_node_has_its_text(raw: bytes, shown: str) -> None:
    assert text(raw) == shown


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        (1, 1),
        (1, 4),
        (2, 1),
        (2, 3),
        (3, 1),
        (3, 11),
        (3, 12),
        (3, 13),
        (3, 23),
        (4, 1),
        (4, 4),
        (5, 1),
        (9, 9),
        (4, 0xFF),
    ],
)
def test_a_node_of_no_known_form_shows_its_bytes(kind: int, subtype: int) -> None:
    assert node_text(PathNode(kind, subtype, b"\xab")) == f"Path({kind},{subtype},ab)"


def test_a_long_unknown_node_is_cut() -> None:
    assert node_text(PathNode(9, 9, bytes(33))) == f"Path(9,9,{'00' * 32}…)"


def test_the_file_of_a_path_is_joined_from_its_parts() -> None:
    path = decode_device_path(PCI + file_node(r"\EFI\debian") + file_node(r"\shimx64.efi") + END)

    assert file_path(path) == r"\EFI\debian\shimx64.efi"


def test_a_file_without_its_null_is_read() -> None:
    assert file_path(decode_device_path(node(4, 4, utf16("kernel")) + END)) == "kernel"


@pytest.mark.parametrize("raw", [b"", PCI + END, node(4, 4, b"odd") + END])
def test_a_path_without_a_file_has_none(raw: bytes) -> None:
    assert file_path(decode_device_path(raw)) is None


def test_an_option_rom_ends_in_a_range() -> None:
    assert is_option_rom(decode_device_path(PCI_ROOT + PCI + OFFSET + END))
    assert not is_option_rom(decode_device_path(PCI_ROOT + PCI + END))
    assert not is_option_rom(decode_device_path(b""))
