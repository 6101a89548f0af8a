"""Names of tagged events: those of Windows (wbcl.h, SIPAEVENT_…) and Linux, for people. Nothing is decided by them."""

from collections.abc import Mapping

TAG_NAMES: Mapping[int, str] = {
    0x40010001: "trust boundary",
    0x40010002: "early launch anti-malware",
    0x40010003: "loaded module",
    0xC0010004: "trust point",
    0x00020002: "boot counter",
    0x00020003: "transfer of control",
    0x00020005: "BitLocker unlock",
    0x00020006: "event counter",
    0x00040001: "boot debugging",
    0x00040002: "boot revocation list",
    0x00050001: "kernel debugging",
    0x00050002: "code integrity",
    0x00050003: "test signing",
    0x00050004: "data execution prevention",
    0x00050005: "safe mode",
    0x00050008: "OS device",
    0x00050009: "system root",
    0x0005000A: "hypervisor launch type",
    0x00050012: "virtual secure mode",
    0x00050013: "OS revocation list",
    0x00060002: "signing key",
    0x00070001: "file path",
    0x00070002: "image size",
    0x00070004: "Authenticode digest",
    0x8F3B22EC: "initial RAM disk",
    0x8F3B22ED: "load options",
}
"""The last two are the Linux EFI stub's (drivers/firmware/efi/libstub)."""


def tag_name(number: int) -> str:
    """Its name, or the number."""
    return TAG_NAMES.get(number) or f"0x{number:08x}"
