"""`bartizan reference predict`: the next boot's Reference Values from the present boot and the files of an update."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bartizan.app.evidence_folder import read_file, read_recording
from bartizan.app.judge_folder import read_policy
from bartizan.app.learn_reference import verified_parts
from bartizan.app.life_cycle import Window
from bartizan.app.reference_folder import read_reference
from bartizan.errors import ConfigError, DecodeError, VerifyError
from bartizan.formats.boot_image import ALGORITHMS, decode_boot_image
from bartizan.formats.grub_config import decode_grub_config
from bartizan.formats.inert import inert
from bartizan.formats.pe import MAX_IMAGE
from bartizan.formats.x509 import decode_certificates
from bartizan.model.certificate import Certificate
from bartizan.model.digest import HashAlg
from bartizan.model.image import BootImage
from bartizan.model.reference import Origin
from bartizan.reference.components import Components, Configuration, Digests, unified_image
from bartizan.reference.initramfs import is_initramfs
from bartizan.reference.predict import Prediction, predict
from bartizan.reference.vetting import Vetting

Part = TypeVar("Part")
MAX_NAME = 200
NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
"""Control characters that no text has."""
NO_INITRAMFS = "does not look like an initramfs: neither a cpio archive nor a compressed one"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateFiles:
    """The files of an update, by what they replace, and where they come from.

    package: `name=version`, on the caller's word; packages: a set imported from verified packages, which the new images
    must be files of.
    """

    kernel: Path | None = None
    shim: Path | None = None
    loader: Path | None = None
    unified: Path | None = None
    initrds: tuple[Path, ...] = ()
    grub_cfg: Path | None = None
    command_line: str | None = None
    package: str | None = None
    packages: Path | None = None

    @property
    def images(self) -> list[Path]:
        """What will be executed as an image of its own."""
        return [path for path in (self.kernel, self.shim, self.loader, self.unified) if path is not None]


def predict_from(
    folder: Path,
    files: UpdateFiles,
    *,
    policy: Path | None = None,
    signers: tuple[Path, ...] = (),
    name: str | None = None,
    window: Window | None = None,
) -> Prediction:
    """The Reference Values of the next boot of the machine whose present boot is recorded in a folder.

    Where the update comes from verified packages they are of the boot alone: files are known from those, and a digest
    kept from the present boot would outlive its package, or gainsay what the machine makes anew for itself.

    Raises:
        ConfigError, DecodeError: a folder or file cannot be used. PolicyError: the policy cannot.
        VerifyError: the boot does not add up, a component has no place in it, or an image may not run.
    """
    components = read_components(files)
    boot, ima = verified_parts(read_recording(folder))
    named = tuple(certificate for path in signers for certificate in _certificates(path))
    vetting = Vetting.of(boot, read_policy(policy), named)
    chosen = name or f"{folder.resolve().name}-next"
    found = predict(boot, ima, components, vetting=vetting, name=chosen)
    kept = found.reference if files.packages is None else replace(found.reference, files=())
    return replace(found, reference=(window or Window()).on(kept))


def read_components(files: UpdateFiles) -> Components:
    """The components from their files.

    Raises:
        ConfigError: none was named, or a file cannot be read. DecodeError: a file is not what it should be.
        VerifyError: an image is no file of the packages that it should be from.
    """
    paths = [*files.images, *files.initrds, *([files.grub_cfg] if files.grub_cfg is not None else [])]
    if not paths and files.command_line is None:
        raise ConfigError("nothing to predict from: name a new --kernel, --initrd, --grub-cfg, --cmdline or other part")
    initrds = [(path, _filled(path)) for path in files.initrds]
    return Components(
        source=_verified_source(files) if files.packages is not None else _source(files.package, paths),
        kernel=_image(files.kernel),
        shim=_image(files.shim),
        loader=_image(files.loader),
        unified=_decoded(files.unified, unified_image) if files.unified is not None else None,
        initrds=tuple(_digests(raw) for _, raw in initrds),
        configuration=_decoded(files.grub_cfg, _configuration) if files.grub_cfg is not None else None,
        command_line=files.command_line,
        doubts=tuple(f"{inert(path.name)} {NO_INITRAMFS}" for path, raw in initrds if not is_initramfs(raw)),
    )


def _filled(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        ConfigError: it cannot be read, or there are none.
    """
    raw = read_file(path, limit=MAX_IMAGE)
    if not raw:
        raise ConfigError(f"{path}: it is empty")
    return raw


def _source(package: str | None, paths: list[Path]) -> str:
    """Where an update comes from, in words.

    Raises:
        ConfigError: the package is not given as name and version.
    """
    if package is None:
        return inert(", ".join(path.name for path in paths) or "a command line", limit=MAX_NAME)
    name, equals, version = package.partition("=")
    if not name or not equals or not version:
        raise ConfigError(f"--package takes NAME=VERSION, found {package!r}")
    return inert(f"{name} {version}", limit=MAX_NAME)


def _verified_source(files: UpdateFiles) -> str:
    """The packages that the new images are files of, in words.

    Raises:
        ConfigError: a package is named besides, or no image. VerifyError: an image is in none of them.
    """
    if files.packages is None or files.package is not None or not files.images:
        raise ConfigError("--packages takes the place of --package, and tells where new images come from: name one")
    known = {file.digest: file.origin for file in read_reference(files.packages).files if file.origin is not None}
    found: list[Origin] = []
    for path in files.images:
        origin = known.get(HashAlg.SHA256.digest(read_file(path, limit=MAX_IMAGE)))
        if origin is None:
            raise VerifyError(
                "image.package", f"{path.name} is no file of the verified packages in {files.packages.name}"
            )
        found.append(origin)
    said = dict.fromkeys(f"{some.package} {some.version}, verified from {some.repository}" for some in found)
    return inert(", ".join(said), limit=MAX_NAME)


def _decoded(path: Path, decode: Callable[[bytes], Part]) -> Part:
    raw = _filled(path)
    try:
        return decode(raw)
    except DecodeError as error:
        raise DecodeError(f"{path.name}: {error.what}", error.offset, error.why) from error


def _image(path: Path | None) -> BootImage | None:
    return _decoded(path, decode_boot_image) if path is not None else None


def _configuration(raw: bytes) -> Configuration:
    noise = NO_TEXT.search(raw)
    if noise is not None:
        raise DecodeError("grub.cfg", noise.start(), f"a text expected, found byte 0x{noise[0].hex()}")
    return Configuration(digests=_digests(raw), content=decode_grub_config(raw))


def _certificates(path: Path) -> tuple[Certificate, ...]:
    return _decoded(path, decode_certificates)


def _digests(raw: bytes) -> Digests:
    return {alg: alg.digest(raw) for alg in ALGORITHMS}
