"""The IOMMU: whether there is one, which groups it makes, and of what kind they are."""

from __future__ import annotations

from bartizan.collect.posture.host import Host

GROUPS = "/sys/kernel/iommu_groups"


def read(host: Host) -> None:
    """Keep the groups' kinds; the tables of ACPI tell whether the machine has an IOMMU that is not used."""
    host.names("/sys/class/iommu")
    host.names("/sys/firmware/acpi/tables")
    for group in host.names(GROUPS).names or ():
        host.text(f"{GROUPS}/{group}/type")
