"""Platform: TPM, Secure Boot, microcode, memory encryption for guests, as the kernel shows them; a TPM proves more."""

import re
from collections.abc import Mapping

from bartizan.appraise.posture.facts import Evaluator, Facts, Outcome, broken, holds, inapplicable, unknown

EFI = "/sys/firmware/efi"
VARIABLE = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""EFI_GLOBAL_VARIABLE; UEFI 2.10, 3.3."""
ENCRYPTION = {"/sys/module/kvm_amd/parameters/sev_snp": "SEV-SNP", "/sys/module/kvm_intel/parameters/tdx": "TDX"}


def tpm(facts: Facts) -> Outcome:
    """There is a TPM 2.0."""
    versions = {name: facts.text(f"/sys/class/tpm/{name}/tpm_version_major") for name in facts.names("/sys/class/tpm")}
    if "2" in versions.values():
        return holds("the machine has a TPM 2.0")
    return broken(f"the machine has only a TPM {min(versions.values())}" if versions else "the kernel shows no TPM")


def secure_boot(facts: Facts) -> Outcome:
    """Secure Boot is on and its keys are locked."""
    if facts.maybe_names(EFI) is None:
        return broken("this machine was not started by UEFI firmware, so Secure Boot cannot be on")
    on = _variable(facts, "SecureBoot")
    setup = _variable(facts, "SetupMode")
    if on == 1 and setup == 0:
        return holds("Secure Boot is on, and its keys are locked")
    return broken("Secure Boot is off" if on != 1 else "Secure Boot is in setup mode: anyone may enrol keys")


def _variable(facts: Facts, name: str) -> int:
    """A UEFI variable's one byte, behind four bytes of attributes; -1 when it is absent or of another form."""
    path = f"{EFI}/efivars/{name}-{VARIABLE}"
    if facts.maybe(path) is None:
        return -1
    value = facts.read[path].value or ""
    return ord(value[-1]) if len(value) == len("attr") + 1 else -1


def microcode(facts: Facts) -> Outcome:
    """The processor's microcode is not older than the kernel's list says; a guest is told what its host likes."""
    if re.search(r"^flags\s*:.*\bhypervisor\b", facts.text("/proc/cpuinfo"), re.MULTILINE):
        return inapplicable("below a hypervisor the microcode is the host's; what a guest reads means nothing")
    said = facts.text("/sys/devices/system/cpu/vulnerabilities/old_microcode")
    if "GenuineIntel" not in facts.text("/proc/cpuinfo"):
        return unknown("the kernel knows the current microcode of Intel's processors only")
    if said == "Not affected":
        return holds("the microcode is not older than the kernel's list")
    return (
        unknown(f"the kernel cannot tell: {said}")
        if said.startswith("Unknown")
        else broken("the microcode is outdated")
    )


def encryption(facts: Facts) -> Outcome:
    """KVM can keep a guest's memory from its host."""
    found = {name: facts.maybe(path) for path, name in ENCRYPTION.items()}
    ready = [name for name, value in found.items() if value in {"Y", "1"}]
    if ready:
        return holds(f"KVM offers {ready[0]} to guests")
    off = [name for name, value in found.items() if value is not None]
    because = f"{' and '.join(off)} is turned off" if off else "neither kvm_amd nor kvm_intel offers them"
    return broken(f"KVM keeps no guest's memory from its host with SEV-SNP or TDX: {because}")


EVALUATORS: Mapping[str, Evaluator] = {
    "HWT-002": tpm,
    "HWT-003": secure_boot,
    "HWT-007": microcode,
    "HWT-008": encryption,
}
