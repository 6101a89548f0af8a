"""The recorded machine with one of Debian's kernels: what would differ in its log had it booted that one."""

import hashlib
from collections.abc import Mapping

from bartizan.app.defaults import default_policy
from bartizan.formats.boot_image import decode_boot_image
from bartizan.formats.x509 import decode_certificate
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import VerifiedBoot, VerifiedIma
from bartizan.model.image import BootImage
from bartizan.reference.components import Components
from bartizan.reference.predict import Prediction, predict
from bartizan.reference.vetting import Vetting
from bartizan.verify.authenticode import SignerRules, fingerprint
from bartizan.verify.boot import verify_boot
from bartizan.verify.ima import verify_ima
from tests.simulator.boot_images import DebianImage, Pe, Signing, boot_ca
from tests.simulator.machine import BANKS, Machine, good

CONFIG_FILE, LINUX, KERNEL_FILE, KERNEL_IMAGES, COMMAND_LINE, INITRD, INITRD_FILE = 34, 38, 39, (40, 41), 42, 43, 44
"""Where these stand in the recorded log."""
CA = decode_certificate(boot_ca())
ANYONE = Vetting(
    demanded=True, signers=SignerRules(accepted=frozenset({fingerprint(CA)}), issuers=(CA,)), images=frozenset()
)
"""Accepts what the test CA signed."""


def initramfs(kernel: DebianImage) -> bytes:
    """What stands for the initramfs that update-initramfs made for a kernel."""
    return f"initramfs of {kernel.image.release}".encode()


def digests_of(data: bytes) -> dict[HashAlg, bytes]:
    return {alg: hashlib.new(alg.label, data, usedforsecurity=False).digest() for alg in BANKS}


def with_kernel(kernel: DebianImage, *, machine: Machine | None = None, regenerated: bool = True) -> Machine:
    """The machine started with this kernel and, unless told otherwise, with an initramfs made for it."""
    found = machine or good()
    found = found.with_event(KERNEL_FILE, digests=_banks(kernel.image.flat))
    for index in KERNEL_IMAGES:
        found = found.with_event(index, digests=_banks(kernel.image.authenticode))
    return found.with_event(INITRD_FILE, digests=digests_of(initramfs(kernel))) if regenerated else found


def _banks(digests: Mapping[HashAlg, bytes]) -> dict[int, bytes]:
    return {alg: digests[alg] for alg in BANKS}


def renamed(machine: Machine, release: str, *, folder: str = "/boot") -> Machine:
    """The machine with its kernel and initramfs under the names that Debian gives them."""
    paths = {
        b"/vmlinuz": f"{folder}/vmlinuz-{release}".encode(),
        b"/initrd.img": f"{folder}/initrd.img-{release}".encode(),
    }
    for index in (LINUX, COMMAND_LINE, INITRD):
        data = machine.events[index].data
        for short, full in paths.items():
            data = data.replace(b" " + short, b" " + full)
        payload = data.rstrip(b"\0").partition(b": ")[2]
        machine = machine.with_event(index, data=data, digests=digests_of(payload))
    for index, short in ((KERNEL_FILE, b"/vmlinuz"), (INITRD_FILE, b"/initrd.img")):
        data = machine.events[index].data.replace(short, paths[short])
        machine = machine.with_event(index, data=data, digests=machine.events[index].digests)
    return machine


def verified(machine: Machine) -> tuple[VerifiedBoot, VerifiedIma]:
    """What its quote vouches for."""
    evidence, pcrs = machine.evidence(), machine.pcrs()
    assert evidence.ima is not None
    return verify_boot(machine.log, pcrs, pinned=HashAlg.SHA256), verify_ima(evidence.ima, pcrs, pinned=HashAlg.SHA256)


def without_secure_boot(machine: Machine) -> Machine:
    """Secure Boot is off: the variable says so, and no authority was used."""
    events = machine.events
    state = next(event for event in events if b"S\0e\0c\0u\0r\0e\0B\0o\0o\0t\0" in event.data)
    return machine.with_event(state.index, data=state.data[:-1] + b"\0")


def grubless(machine: Machine) -> Machine:
    """The machine with a loader that measures no commands."""
    return machine.without_event(*(event.index for event in machine.events if event.pcr in (8, 9)))


def image(pe: Pe | None = None) -> BootImage:
    """An image that the test CA signed."""
    return decode_boot_image((pe or Pe()).signed(Signing()).encode())


def predicted(machine: Machine, vetting: Vetting | None = None, **components: object) -> Prediction:
    """What is foretold of this machine, given these components."""
    boot, ima = verified(machine)
    new = Components(source="a package 1.0", **components)  # type: ignore[arg-type]  # fields by name
    return predict(boot, ima, new, vetting=vetting or Vetting.of(boot, default_policy()), name="next")
