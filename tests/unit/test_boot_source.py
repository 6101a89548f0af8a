"""Where the first loader came from: by real logs and by ones with one thing changed, held against boot options."""

from dataclasses import replace
from pathlib import Path

import pytest

from bartizan.formats.log_file import decode_log_file
from bartizan.model.boot_facts import BootSource, BootWay
from bartizan.model.boot_log import Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.model.result import AttestationResult, Claim, Finding, Tier
from bartizan.verify.boot_source import boot_source
from tests.simulator.machine import Machine, attested, good, judged
from tests.unit.uefi_bytes import END, file_node, image_load, load_option, node, variable

LOGS = Path(__file__).parent.parent / "vectors" / "boot_logs"
SHA256 = HashAlg.SHA256
PCI, VOLUME = node(1, 1, b"\0\3"), node(4, 7, bytes(16))
PARTITION = node(4, 1, bytes(38))
MAC, LEASE = node(3, 0x0B, bytes(33)), node(3, 0x0C, bytes(23))
ANSWERED = node(3, 0x0C, b"\x0a" * 23)
FILE = file_node(r"\EFI\debian\shimx64.efi")
DISK = PCI + PARTITION + FILE + END


def option(path: bytes, *, whole: bool = False, covered: bool = True, attributes: int = 1) -> Event:
    """A boot option as firmware measures it: the variable's content, or in newer firmware all of the event."""
    content = load_option("an option", path, attributes=attributes)
    data = variable("Boot0001", content)
    digest = SHA256.digest(data if whole else content) if covered else bytes(32)
    return Event(
        index=1, offset=0, pcr=1, reported_type=EventType.EFI_VARIABLE_BOOT, digests={SHA256: digest}, data=data
    )


def image(path: bytes, *, index: int = 2) -> Event:
    kind = EventType.EFI_BOOT_SERVICES_APPLICATION
    return Event(index=index, offset=0, pcr=4, reported_type=kind, digests={}, data=image_load(path))


def source(*events: Event) -> BootSource:
    found = boot_source(events, SHA256)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("path", "way"),
    [
        (DISK, BootWay.DISK),
        (PCI + MAC + LEASE + END, BootWay.PXE),
        (PCI + MAC + node(3, 0x0D, bytes(60)) + END, BootWay.PXE),
        (PCI + MAC + LEASE + node(3, 0x18, b"http://depot/shim.efi") + END, BootWay.HTTP),
        (PCI + MAC + LEASE + node(3, 0x18, b"HTTPS://depot/shim.efi") + END, BootWay.HTTPS),
        (PCI + MAC + LEASE + node(3, 0x18, b"") + END, BootWay.HTTP),
    ],
)
def test_the_way_follows_from_the_path(path: bytes, way: BootWay) -> None:
    assert source(image(path)).way is way


def test_what_lies_in_the_firmware_or_has_no_path_is_no_loader() -> None:
    menu, again = image(VOLUME + node(4, 6, bytes(16)) + END), image(b"")

    assert boot_source((menu, again), SHA256) is None
    assert source(menu, again, image(DISK, index=7)).event == 7
    assert boot_source((replace(image(DISK), pcr=2),), SHA256) is None
    assert boot_source((replace(image(DISK), data=b"short"),), SHA256) is None


@pytest.mark.parametrize(
    ("wanted", "started"),
    [
        (DISK, DISK),
        (PCI + END, DISK),
        (PARTITION + FILE + END, DISK),
        (PCI + MAC + LEASE + END, PCI + MAC + ANSWERED + END),
        (PCI + MAC + LEASE + node(3, 0x18, b"") + END, PCI + MAC + ANSWERED + node(3, 0x18, b"https://x") + END),
    ],
)
def test_a_measured_boot_option_names_the_path_in_full_or_in_its_short_form(wanted: bytes, started: bytes) -> None:
    assert source(option(wanted), image(started)).option == "an option"
    assert source(option(wanted, whole=True), image(started)).option == "an option"


@pytest.mark.parametrize(
    "other",
    [
        option(DISK, covered=False),
        option(DISK, attributes=0),
        option(END),
        option(PCI + MAC + LEASE + END),
        option(node(1, 1, b"\0\4") + END),
        option(PCI + PARTITION + FILE + file_node("x") + END),
        replace(option(DISK), pcr=5),
        replace(option(DISK), reported_type=EventType.EFI_ACTION),
        replace(option(DISK), data=b"short"),
        replace(option(DISK), data=variable("BootOrder", b"\1\0")),
    ],
)
def test_an_option_that_is_not_covered_or_active_or_of_another_device_names_nothing(other: Event) -> None:
    assert source(other, image(DISK)).option is None


@pytest.mark.parametrize(
    ("log", "option_named", "way"),
    [
        ("kgoldman_ibmtss/utils__ubuntu3.log", "UEFI PXEv4 (MAC:525404010011)", BootWay.PXE),
        ("kgoldman_ibmtss/utils__sm2.log", None, BootWay.PXE),
    ],
)
def test_a_real_machine_that_was_loaded_by_pxe_is_told(log: str, option_named: str | None, way: BootWay) -> None:
    decoded = decode_log_file((LOGS / log).read_bytes())
    bank = next(bank for bank in (HashAlg.SHA256, HashAlg.SHA1) if bank in decoded.events[-1].digests)
    found = boot_source(decoded.events, bank)

    assert found is not None
    assert (found.way, found.option) == (way, option_named)


def of(result: AttestationResult) -> list[Finding]:
    return [finding for finding in result.findings if finding.id == "platform.boot-source"]


def started_from(path: bytes) -> Machine:
    """The machine whose log says that its first loader came from elsewhere; no digest covers that."""
    [first, *_] = [e for e in good().events if e.reported_type == EventType.EFI_BOOT_SERVICES_APPLICATION]
    return good().with_event(first.index, data=image_load(path), digests=first.digests)


def test_a_machine_that_booted_from_its_disk_says_so_by_its_boot_option() -> None:
    [finding] = of(judged(good()))

    assert finding.tier is Tier.AFFIRMING
    assert "a disk: PciRoot(0x0)" in finding.why
    assert "as the measured boot option 'UEFI Misc Device' has it" in finding.why


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (PCI + MAC + LEASE + END, "by PXE (TFTP)"),
        (PCI + MAC + LEASE + node(3, 0x18, b"http://depot/shim.efi") + END, "plain HTTP"),
        (DISK, "no measured boot option names it"),
    ],
)
def test_a_loader_from_the_open_network_or_from_nowhere_measured_is_a_warning(path: bytes, says: str) -> None:
    result = judged(started_from(path))
    [finding] = of(result)

    assert (finding.tier, finding.claim) == (Tier.WARNING, Claim.CONFIGURATION)
    assert says in finding.why
    assert result.level == judged(good()).level


def test_a_log_without_a_loader_says_nothing_of_its_source() -> None:
    assert of(attested(replace(good().evidence(), boot_log=None)).result) == []
