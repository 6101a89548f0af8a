"""The boot events of an image, from its files alone: the chain of loaders, GRUB's commands, files, command line.

No recorded boot is needed. What firmware measures of itself, of its settings and keys is no image's and is not here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bartizan.errors import DecodeError
from bartizan.formats.boot_image import ALGORITHMS, decode_boot_image
from bartizan.formats.grub_script import decode_grub_script
from bartizan.formats.inert import inert
from bartizan.model.boot_log import COMMAND_PCR, FILE_PCR, IMAGE_PCR
from bartizan.model.digest import HashAlg
from bartizan.model.image import BootImage
from bartizan.model.reference import ReferenceEvent
from bartizan.reference.components import Digests
from bartizan.reference.grub_run import FEATURES, KERNEL, Disks, GrubRun, Measured, entry
from bartizan.reference.propose import MAX_LABEL

EXIT_PCR = 5
ACTIONS = (
    (IMAGE_PCR, "Calling EFI Application from Boot Option"),
    (EXIT_PCR, "Exit Boot Services Invocation"),
    (EXIT_PCR, "Exit Boot Services Returned with Success"),
)
"""Texts that firmware measures on its way; PFP 1.06, 3.3.4.5, 3.3.4.6 and 10.4.4."""
LOADED = 2
"""How often a kernel is measured when shim is there: by shim, when GRUB asks it, and when it is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSources:
    """What an image boots from.

    images: what firmware starts first and what that starts, in order (shim, GRUB), each with a name; early: the script
    inside GRUB; root: the device GRUB was started from; prefix, folder: where GRUB looks for its configuration, and
    where its image lies; entry: of the menu, None: the default; origin: words about where an image comes from.
    """

    disks: Disks
    images: tuple[tuple[str, BootImage], ...]
    early: bytes
    root: str
    prefix: str
    folder: str
    entry: str | None
    origin: Callable[[Digests], str]
    decode: Callable[[bytes], BootImage] = decode_boot_image


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBoot:
    """The events of an image's boot, and what could not be foretold of it, in words."""

    events: tuple[ReferenceEvent, ...]
    left: tuple[str, ...]


def boot_of(sources: BootSources) -> ImageBoot:
    """What the boot of an image will measure into PCR 4, 8 and 9, and when it leaves the firmware into PCR 5.

    Raises:
        VerifyError: GRUB will load a file that is on none of the disks, or an entry that its menu does not have.
        DecodeError: a script or the kernel is not what it should be.
    """
    run = GrubRun(disks=sources.disks, variables=_beginning(sources))
    run.run(decode_grub_script(sources.early))
    if not run.is_over:
        for command in entry(run, sources.entry):
            run.run(command.body)
    measured = tuple(dict.fromkeys(run.measured))
    events = (*_images(sources, measured), *(_event(one, sources) for one in measured))
    return ImageBoot(events=events, left=tuple(dict.fromkeys(run.left)))


def _beginning(sources: BootSources) -> dict[str, str | None]:
    own = {"grub_cpu": "x86_64", "grub_platform": "efi", "root": sources.root}
    places = {"prefix": f"({sources.root}){sources.prefix}", "cmdpath": f"({sources.root}){sources.folder}"}
    return {**dict.fromkeys(FEATURES, "y"), **own, **places}


def _images(sources: BootSources, measured: tuple[Measured, ...]) -> Iterator[ReferenceEvent]:
    """PCR 4, in the order in which images are started, and the firmware's own texts."""
    for pcr, text in ACTIONS:
        yield _hashed(pcr, text.encode("ascii"), label=f"action: {text}", provenance="the PC Client specification")
    chain = [*sources.images]
    for one in measured:
        if one.role == KERNEL:
            image = _kernel(one, sources)
            chain += [(f"kernel {image.release}".rstrip(), image)] * LOADED
    for name, image in chain:
        yield ReferenceEvent(
            pcr=IMAGE_PCR,
            digests=_strong(image.authenticode),
            label=inert(name, limit=MAX_LABEL),
            provenance=sources.origin(image.flat),
        )


def _kernel(file: Measured, sources: BootSources) -> BootImage:
    try:
        return sources.decode(file.content)
    except DecodeError as error:
        raise DecodeError(f"{inert(file.text)}: {error.what}", error.offset, error.why) from error


def _event(one: Measured, sources: BootSources) -> ReferenceEvent:
    if one.kind == "file":
        flat = (
            _kernel(one, sources).flat if one.role == KERNEL else {alg: alg.digest(one.content) for alg in ALGORITHMS}
        )
        return ReferenceEvent(
            pcr=FILE_PCR,
            digests=_strong(flat),
            label=inert(f"file: {one.text}", limit=MAX_LABEL),
            provenance=f"{one.role} that GRUB reads, {sources.origin(flat)}",
        )
    text = one.text.encode("utf-8", "surrogateescape")
    what = "the command line" if one.kind == "kernel_cmdline" else "a command"
    return _hashed(COMMAND_PCR, text, label=f"{one.kind}: {one.text}", provenance=f"{what} of GRUB's configuration")


def _hashed(pcr: int, data: bytes, *, label: str, provenance: str) -> ReferenceEvent:
    digests: Digests = {alg: alg.digest(data) for alg in ALGORITHMS}
    return ReferenceEvent(pcr=pcr, digests=_strong(digests), label=inert(label, limit=MAX_LABEL), provenance=provenance)


def _strong(digests: Digests) -> Digests:
    """Without SHA-1, which recognises nothing where there is better."""
    return {alg: digest for alg, digest in digests.items() if alg is not HashAlg.SHA1}
