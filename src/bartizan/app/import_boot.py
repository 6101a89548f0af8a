"""`bartizan reference import files --disk`: the boot events of an image, computed from the files that it boots from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files as resources
from pathlib import Path

from bartizan.app.evidence_folder import read_file
from bartizan.app.reference_folder import read_reference
from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.boot_image import decode_boot_image
from bartizan.formats.grub_script import MAX_SCRIPT
from bartizan.formats.inert import inert
from bartizan.formats.pe import MAX_IMAGE
from bartizan.model.digest import HashAlg
from bartizan.model.image import BootImage
from bartizan.reference.image_boot import BootSources, ImageBoot, boot_of

PREFIX, FOLDER = "/EFI/debian", "/EFI/BOOT"
OWN = "a file of the image"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFiles:
    """What the operator names of an image's boot.

    disks: `DEVICE=FOLDER`, the first is the one that GRUB is started from; found: `LABEL=DEVICE` for `search`; images:
    loaders in the order in which they are started; early: the script inside GRUB, None: Debian's; packages: a set of
    verified packages, which then are named as the origin of images.
    """

    disks: tuple[str, ...]
    found: tuple[str, ...] = ()
    images: tuple[Path, ...] = ()
    early: Path | None = None
    prefix: str = PREFIX
    folder: str = FOLDER
    entry: str | None = None
    packages: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderDisks:
    """File systems as folders, by the device that GRUB names them by; `found`: device by label or UUID."""

    folders: Mapping[str, Path]
    found: Mapping[str, str] = field(default_factory=dict)

    def read(self, place: str) -> bytes | None:
        """The content of a file.

        Raises:
            ConfigError: it is there, and cannot be read or is too large.
        """
        path = self._path(place)
        return read_file(path, limit=MAX_IMAGE) if path is not None and path.is_file() else None

    def has(self, place: str) -> bool | None:
        """Whether it is there; None where the device is not known."""
        device = place.removeprefix("(").partition(")")[0]
        path = self._path(place)
        return (path is not None and path.exists()) if device in self.folders else None

    def device(self, name: str, *, is_file: bool) -> str | None:
        """The device found by this file, label or UUID; with one disk it can be no other."""
        if is_file:
            return next((device for device in self.folders if self.has(f"({device}){name}")), None)
        only = next(iter(self.folders)) if len(self.folders) == 1 else None
        return self.found.get(name, only)

    def _path(self, place: str) -> Path | None:
        """Where a place is; nothing outside the folders is."""
        device, _, path = place.removeprefix("(").partition(")")
        folder = self.folders.get(device)
        if folder is None or "\0" in path:
            return None
        target = (folder / path.lstrip("/")).resolve()
        return target if target.is_relative_to(folder.resolve()) else None


def boot_from(files: BootFiles) -> ImageBoot:
    """The boot events of an image.

    Raises:
        ConfigError: a disk or file cannot be used. DecodeError: an image or script is none.
        VerifyError: what GRUB will load is not there, or its menu has no such entry.
    """
    disks = _disks(files)
    sources = BootSources(
        disks=disks,
        images=tuple((path.name, _image(path)) for path in files.images),
        early=_early(files.early),
        root=next(iter(disks.folders)),
        prefix=files.prefix,
        folder=files.folder,
        entry=files.entry,
        origin=_origins(files.packages),
    )
    return boot_of(sources)


def _disks(files: BootFiles) -> FolderDisks:
    folders = {device: Path(folder) for device, folder in (_pair(one, "--disk") for one in files.disks)}
    for device, folder in folders.items():
        if not folder.is_dir():
            raise ConfigError(f"--disk {device}: {folder} is no folder")
    found = dict(_pair(one, "--found") for one in files.found)
    for name, device in found.items():
        if device not in folders:
            raise ConfigError(f"--found {name}: {device} is none of the disks ({', '.join(folders)})")
    return FolderDisks(folders=folders, found=found)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise ConfigError(f"{option} takes NAME=VALUE, found {text!r}")
    return name.strip("()"), value.strip("()") if option == "--found" else value


def _early(path: Path | None) -> bytes:
    if path is not None:
        return read_file(path, limit=MAX_SCRIPT)
    return resources("bartizan.data").joinpath("grub", "debian.cfg").read_bytes()


def _image(path: Path) -> BootImage:
    try:
        return decode_boot_image(read_file(path, limit=MAX_IMAGE))
    except DecodeError as error:
        raise DecodeError(f"{path.name}: {error.what}", error.offset, error.why) from error


def _origins(packages: Path | None) -> Callable[[Mapping[HashAlg, bytes]], str]:
    """Words about where a file comes from: the verified package that has it, else the image itself."""
    files = read_reference(packages).files if packages is not None else ()
    known = {(file.alg, file.digest): file.origin for file in files if file.origin is not None}

    def origin(digests: Mapping[HashAlg, bytes]) -> str:
        found = known.get(("sha256", digests[HashAlg.SHA256]))
        return OWN if found is None else inert(f"{found.package} {found.version}, verified from {found.repository}")

    return origin
