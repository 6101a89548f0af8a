"""Well-known GUIDs by name, for people. Nothing is decided by this table."""

from collections.abc import Mapping

from bartizan.model.uefi import EFI_GLOBAL, IMAGE_SECURITY, SHIM_LOCK, Guid, guid, guid_text

NAMES: Mapping[Guid, str] = {
    EFI_GLOBAL: "EFI global",
    IMAGE_SECURITY: "EFI image security",
    SHIM_LOCK: "shim",
    guid("77fa9abd-0359-4d32-bd60-28f4e78f784b"): "Microsoft",
    guid("a0baa8a3-041d-48a8-bc87-c36d121b5e3d"): "OVMF",
    guid("6dc40ae4-2ee8-9c4c-a314-0fc7b2008710"): "Canonical",
    guid("9d132b6c-59d5-4388-ab1c-185cfcb2eb92"): "Microsoft security version",
    guid("eb9d2d30-2d88-11d3-9a16-0090273fc14d"): "ACPI 1.0",
    guid("8868e871-e4f1-11d3-bc22-0080c73c8881"): "ACPI 2.0",
    guid("eb9d2d31-2d88-11d3-9a16-0090273fc14d"): "SMBIOS",
    guid("f2fd1544-9794-4a2c-992e-e5bbcf20e394"): "SMBIOS 3",
    guid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"): "EFI system partition",
    guid("21686148-6449-6e6f-744e-656564454649"): "BIOS boot",
    guid("0fc63daf-8483-4772-8e79-3d69d8477de4"): "Linux",
    guid("bc13c2ff-59e6-4262-a352-b275fd6f7172"): "Linux boot",
    guid("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"): "Linux root (x86-64)",
    guid("e6d6d379-f507-44c2-a23c-238f2a3df928"): "LVM",
    guid("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"): "Linux swap",
    guid("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"): "Windows data",
    guid("e3c9e316-0b5c-4db8-817d-f92df00215ae"): "Windows reserved",
    guid("de94bba4-06d1-4d40-a16a-bfd50179d6ac"): "Windows recovery",
}
"""UEFI 2.10, 4.6 and 5.3.3; Discoverable Partitions Specification."""


def guid_name(value: Guid) -> str:
    """Its name, or the GUID itself."""
    return NAMES.get(value) or guid_text(value)
