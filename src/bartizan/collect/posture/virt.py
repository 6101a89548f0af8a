"""Virtualization: what KVM and VFIO were told, what the firmware handed over, TPM and Secure Boot as the kernel shows.

Whether the processor has a feature stands in its flags (`cpu`); whether it is in use stands here.
"""

from __future__ import annotations

from bartizan.collect.posture.host import Host

PARAMETERS = (
    ("kvm", "nx_huge_pages"),
    ("kvm", "enable_vmware_backdoor"),
    ("kvm_intel", "nested"),
    ("kvm_intel", "tdx"),
    ("kvm_amd", "nested"),
    ("kvm_amd", "sev"),
    ("kvm_amd", "sev_snp"),
    ("vfio", "enable_unsafe_noiommu_mode"),
    ("vfio_iommu_type1", "allow_unsafe_interrupts"),
    ("vfio_pci", "disable_denylist"),
)
GLOBAL_VARIABLE = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""EFI_GLOBAL_VARIABLE; UEFI 2.10, 3.3."""
EFI = "/sys/firmware/efi"


def read(host: Host) -> None:
    """Keep module parameters as they stand now, not as they were asked for."""
    for module, name in PARAMETERS:
        host.text(f"/sys/module/{module}/parameters/{name}")
    host.names("/sys/class")
    for name in host.names("/sys/class/tpm").names or ():
        host.text(f"/sys/class/tpm/{name}/tpm_version_major")
    host.names("/sys/firmware")
    if host.names(EFI).names is not None:
        for variable in ("SecureBoot", "SetupMode"):
            host.text(f"{EFI}/efivars/{variable}-{GLOBAL_VARIABLE}")
