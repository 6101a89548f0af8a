"""Prediction of unified kernel images: outer image, kernel inside, and the sections that the stub measures."""

import hashlib

import pytest

from bartizan.errors import VerifyError
from bartizan.formats.boot_image import decode_boot_image
from bartizan.model.boot_log import EventType
from bartizan.model.digest import HashAlg
from bartizan.reference.components import unified_image
from tests.simulator.boot_images import Pe, Signing
from tests.simulator.machine import Machine, good, measured
from tests.unit.kernel_machines import ANYONE, KERNEL_IMAGES, grubless, predicted

PARTS = {".linux": Pe(sections={".text": b"kernel"}).encode(), ".osrel": b"ID=a\n", ".cmdline": b"ro"}


def unified(parts: dict[str, bytes], *, loads_inner: bool = True) -> Machine:
    """A machine that starts a unified image whose stub measures these sections."""
    events = [measured(4, EventType.EFI_BOOT_SERVICES_APPLICATION, b"", of=b"the unified image")]
    for name, content in parts.items():
        label = name.encode() + b"\0"
        events += [measured(11, EventType.IPL, label), measured(11, EventType.IPL, label, of=content)]
    if loads_inner:
        events.append(measured(4, EventType.EFI_BOOT_SERVICES_APPLICATION, b"", of=b"the kernel inside"))
    machine = grubless(good().without_event(*KERNEL_IMAGES))
    leaving = next(event.index for event in machine.events if event.data.startswith(b"Exit Boot Services"))
    return machine.inserted(leaving, *events)


def uki(parts: dict[str, bytes]) -> bytes:
    return Pe(sections={".text": b"stub", **parts}).signed(Signing()).encode()


@pytest.mark.parametrize("more", [{}, {".uname": b"6.1"}], ids=["as many sections", "one more"])
def test_a_unified_image_replaces_image_kernel_and_sections(more: dict[str, bytes]) -> None:
    raw = uki({**PARTS, **more, ".cmdline": b"rw"})
    found = predicted(unified(PARTS), ANYONE, unified=unified_image(raw)).reference

    sections = [event.digests[HashAlg.SHA256] for event in found.events if event.pcr == 11]
    expected = [
        part
        for name, content in {**PARTS, ".cmdline": b"rw", **more}.items()
        for part in (name.encode() + b"\0", content)
    ]
    assert sections == [hashlib.sha256(part).digest() for part in expected]
    images = [event.digests[HashAlg.SHA256] for event in found.events if event.pcr == 4][-2:]
    outer = decode_boot_image(raw).authenticode[HashAlg.SHA256]
    assert images == [outer, decode_boot_image(PARTS[".linux"]).authenticode[HashAlg.SHA256]]


def test_sections_that_the_new_image_has_not_are_gone() -> None:
    fewer = {name: content for name, content in PARTS.items() if name != ".cmdline"}
    found = predicted(unified(PARTS), ANYONE, unified=unified_image(uki(fewer)))

    assert len([event for event in found.reference.events if event.pcr == 11]) == 4
    assert [(c.pcr, c.times) for c in found.changes if not c.after] == [(11, 1), (11, 1)]


def test_a_kernel_inside_that_is_no_image_of_its_own_is_not_loaded_by_firmware() -> None:
    raw = uki({**PARTS, ".linux": b"an ELF file"})
    found = predicted(unified(PARTS, loads_inner=False), ANYONE, unified=unified_image(raw))

    assert [change.after for change in found.changes if change.pcr == 4] == ["unified kernel image"]


def test_a_unified_image_for_a_boot_without_one_is_refused() -> None:
    with pytest.raises(VerifyError, match="measured no unified kernel image"):
        predicted(good(), ANYONE, unified=unified_image(uki(PARTS)))
