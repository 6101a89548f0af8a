"""The disk that the recorded boots were started from, as far as its files are known. Not a test.

Its grub.cfg is written out here and has the digest that the boots measured. Kernel, shim and GRUB stand in the vectors
as facts about their Debian packages; the initramfs is not kept, and its digest is the one fact taken from the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files

from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.reference import ReferenceEvent
from bartizan.reference.image_boot import BootSources, ImageBoot, boot_of
from tests.simulator.boot_images import DebianImage, debian
from tests.unit.cli_runner import BOOTS

DEVICE = "hd0,gpt1"
LINE = "console=ttyS0 quiet ima_policy=tcb ima_template=ima-ng ima_hash=sha256 verifier=http://10.0.2.2:18080"
RECORDED_CONFIG = f"""set timeout=0
search --no-floppy --label ESP --set=root
echo "GRUB loading"
linux /vmlinuz {LINE}
initrd /initrd.img
boot
""".encode()
INITRD_EVENT = 44
EARLY = files("bartizan.data").joinpath("grub", "debian.cfg").read_bytes()


@dataclass(frozen=True, kw_only=True)
class MemoryDisks:
    """Files by device and path; `found`: device by label or UUID."""

    files: Mapping[str, bytes]
    found: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = (DEVICE,)

    def read(self, place: str) -> bytes | None:
        return self.files.get(place)

    def has(self, place: str) -> bool | None:
        if place.removeprefix("(").partition(")")[0] not in self.devices:
            return None
        return any(path == place or path.startswith(f"{place}/") for path in self.files)

    def device(self, name: str, *, is_file: bool) -> str | None:
        if is_file:
            return next((device for device in self.devices if f"({device}){name}" in self.files), None)
        return self.found.get(name, self.devices[0] if len(self.devices) == 1 else None)


def recorded_disk(config: bytes = RECORDED_CONFIG) -> MemoryDisks:
    names = {"/EFI/debian/grub.cfg": config, "/vmlinuz": b"a kernel", "/initrd.img": b"an initramfs"}
    return MemoryDisks(files={f"({DEVICE}){path}": content for path, content in names.items()})


def of_package(name: str) -> DebianImage:
    """The newest image of a Debian package."""
    return [some for some in debian() if some.package == name][-1]


def recorded_boot() -> ImageBoot:
    """The boot events of the recorded image, from its files."""
    kernel = of_package("linux-image-6.1.0-56-cloud-amd64")
    sources = BootSources(
        disks=recorded_disk(),
        images=tuple((name, of_package(name).image) for name in ("shim-signed", "grub-efi-amd64-signed")),
        early=EARLY,
        root=DEVICE,
        prefix="/EFI/debian",
        folder="/EFI/BOOT",
        entry=None,
        origin=lambda digests: kernel.source if digests == kernel.image.flat else "a file of the image",
        decode=lambda _: kernel.image,
    )
    found = boot_of(sources)
    return replace(found, events=tuple(map(_with_initramfs, found.events)))


def _with_initramfs(event: ReferenceEvent) -> ReferenceEvent:
    if event.label != "file: /initrd.img":
        return event
    log = decode_boot_log((BOOTS / "good" / "bios_at_quote.bin").read_bytes())
    measured = log.events[INITRD_EVENT].digests
    return replace(event, digests={alg: measured[alg] for alg in event.digests if alg in measured})
