"""What an update brings to a machine, as far as its next boot will measure it. Nothing is foretold here."""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.errors import DecodeError
from bartizan.formats.boot_image import decode_boot_image
from bartizan.formats.grub_config import GrubConfig
from bartizan.formats.uki import Measured, decode_uki, inner_kernel
from bartizan.model.digest import HashAlg
from bartizan.model.image import BootImage

Digests = Mapping[HashAlg, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnifiedImage:
    """A unified kernel image: its own digests, those of the kernel inside, and what its stub will measure."""

    image: BootImage
    kernel: BootImage | None
    measured: tuple[Measured, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A new grub.cfg: the digests of the file, and what it says."""

    digests: Digests
    content: GrubConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """What an update brings; None and nothing stand for unchanged.

    source: where it comes from, in words that follow "predicted from"; initrds: digests of whole files, in the order in
    which they are loaded; command_line: the kernel's parameters, without the path of its image; doubts: what seems
    wrong with the files, though it forbids nothing.
    """

    source: str
    kernel: BootImage | None = None
    shim: BootImage | None = None
    loader: BootImage | None = None
    unified: UnifiedImage | None = None
    initrds: tuple[Digests, ...] = ()
    configuration: Configuration | None = None
    command_line: str | None = None
    doubts: tuple[str, ...] = ()


def unified_image(raw: bytes) -> UnifiedImage:
    """A unified kernel image from its file.

    Raises:
        DecodeError: it is none.
    """
    measured = decode_uki(raw)
    inner = inner_kernel(raw)
    try:
        kernel = decode_boot_image(inner) if inner is not None else None
    except DecodeError:
        kernel = None  # on some machines .linux is no PE image; firmware does not load it by itself then
    return UnifiedImage(image=decode_boot_image(raw), kernel=kernel, measured=measured)
