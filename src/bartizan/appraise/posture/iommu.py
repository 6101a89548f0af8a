"""IOMMU: is there one, does it translate, is what it isolates real? Its groups are the kernel's own account of it."""

from collections.abc import Mapping

from bartizan.appraise.posture.facts import Evaluator, Facts, Outcome, broken, holds, inapplicable

GROUPS = "/sys/kernel/iommu_groups"
TABLES = "/sys/firmware/acpi/tables"
DESCRIBING = ("DMAR", "IVRS", "IORT")
"""ACPI tables by which firmware describes an IOMMU: Intel's, AMD's, Arm's."""
OFF = {"intel_iommu": "off", "amd_iommu": "off", "iommu": "off"}
NO_GROUPS = "the kernel uses no IOMMU (IOM-001)"


def present(facts: Facts) -> Outcome:
    """The kernel uses an IOMMU."""
    groups = facts.names(GROUPS)
    if groups:
        return holds(f"the IOMMU makes {len(groups)} groups")
    described = [table for table in facts.names(TABLES) if table in DESCRIBING]
    if described:
        return broken(f"the machine has an IOMMU (ACPI table {described[0]}), but the kernel does not use it")
    return broken("the kernel uses no IOMMU, and the firmware describes none (no DMAR or IVRS table)")


def enabled(facts: Facts) -> Outcome:
    """The command line does not turn the IOMMU off."""
    given = facts.cmdline()
    off = [f"{name}=off" for name, bad in OFF.items() if any(bad in value.split(",") for value in given.get(name, ()))]
    if off:
        return broken(f"the command line turns the IOMMU off: {', '.join(off)}")
    return holds("the command line does not turn the IOMMU off")


def translated(facts: Facts) -> Outcome:
    """No device reaches memory untranslated."""
    kinds = _kinds(facts)
    direct = [group for group, kind in kinds.items() if kind == "identity"]
    if not kinds:
        return inapplicable(NO_GROUPS)
    facts.first(*(f"{GROUPS}/{group}/type" for group in direct))
    if direct:
        return broken(f"devices of {len(direct)} of {len(kinds)} groups reach all memory untranslated (identity)")
    return holds(f"all {len(kinds)} groups are translated")


def strict(facts: Facts) -> Outcome:
    """A buffer that was given back can no longer be reached by its device."""
    kinds = _kinds(facts)
    lazy = [group for group, kind in kinds.items() if kind == "DMA-FQ" and kind not in facts.terms.accepts]
    if not kinds:
        return inapplicable(NO_GROUPS)
    facts.first(*(f"{GROUPS}/{group}/type" for group in lazy))
    if lazy:
        return broken(f"{len(lazy)} of {len(kinds)} groups take mappings back lazily (DMA-FQ)")
    return holds(f"none of {len(kinds)} groups takes mappings back later than this profile accepts")


def _kinds(facts: Facts) -> dict[str, str]:
    return {group: facts.text(f"{GROUPS}/{group}/type") for group in facts.names(GROUPS)}


def honest_groups(facts: Facts) -> Outcome:
    """The groups are as the hardware isolates them."""
    override = facts.cmdline().get("pcie_acs_override")
    if override is not None:
        return broken(f"pcie_acs_override={','.join(override)} splits groups that the hardware does not isolate")
    return holds("the groups are as the hardware isolates them (no pcie_acs_override)")


def interrupts(facts: Facts) -> Outcome:
    """Interrupt remapping is not weakened."""
    given = facts.cmdline()
    weak = ["nointremap"] if "nointremap" in given else []
    weak += [
        f"intremap={bad}" for bad in ("off", "nosid") if any(bad in v.split(",") for v in given.get("intremap", ()))
    ]
    if weak:
        return broken(f"the command line weakens interrupt remapping: {', '.join(weak)}")
    return holds("the command line does not weaken interrupt remapping")


def early_dma(facts: Facts) -> Outcome:
    """Devices are held back until the kernel has set up the IOMMU."""
    if facts.maybe_names("/sys/firmware/efi") is None:
        return inapplicable("this machine was not started by UEFI firmware")
    if any("disable_early_pci_dma" in value.split(",") for value in facts.cmdline().get("efi", ())):
        return holds("bus mastering is off until the kernel has set up the IOMMU (efi=disable_early_pci_dma)")
    return broken("the command line lacks efi=disable_early_pci_dma")


EVALUATORS: Mapping[str, Evaluator] = {
    "IOM-001": present,
    "IOM-003": enabled,
    "IOM-004": translated,
    "IOM-005": strict,
    "IOM-006": honest_groups,
    "IOM-007": interrupts,
    "IOM-008": early_dma,
}
