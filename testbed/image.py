"""The guests' image: loaders, kernels and initramfs on an ESP, Python and the agent on a root file system.

Built once and kept below the cache, under a digest over everything that goes into it. It starts no guest.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bartizan.errors import ConnectorError
from testbed.cpio import archive
from testbed.disks import make_esp, make_root, run
from testbed.packages import Packages, Wanted, fetched

HERE = Path(__file__).parent
PROJECT = HERE.parent
GUEST = HERE / "guest"
CACHE_VARIABLE = "BARTIZAN_TESTBED_CACHE"
BUILDERS = ("recipe.toml", "cpio.py", "disks.py", "image.py", "packages.py")
KEPT = 3
"""Images that stay in the cache: the last ones used."""
MERGED = ("bin", "sbin", "lib", "lib64")
FOLDERS = (
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "root",
    "mnt",
    "var/lib",
    "etc/testbed",
    "etc/init.d",
    "usr/libexec/testbed",
)
PLACES = {
    "rcS": "etc/init.d/rcS",
    "inittab": "etc/inittab",
    "agent": "usr/libexec/testbed/agent",
    "console": "usr/libexec/testbed/console",
    "kexec": "usr/libexec/testbed/kexec",
    "ima-policy": "etc/testbed/ima-policy",
}
"""Files of `guest/` and where they go."""
USERS = "root:x:0:0:root:/root:/bin/sh\nbartizan-agent:x:990:990::/nonexistent:/bin/false\n"
GROUPS = "root:x:0:\nbartizan-agent:x:990:\n"
GRUB = """set timeout=0
search --no-floppy --label ESP --set=root
linux /vmlinuz {command_line}
initrd /initrd.img
boot
"""
LOADERS = {
    "usr/lib/shim/shimx64.efi.signed": "EFI/BOOT/BOOTX64.EFI",
    "usr/lib/shim/mmx64.efi.signed": "EFI/BOOT/mmx64.efi",
    "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "EFI/BOOT/grubx64.efi",
}
SECTIONS = {".osrel": 0x20000, ".cmdline": 0x30000, ".uname": 0x40000, ".linux": 0x2000000, ".initrd": 0x4000000}
"""Of a unified image, and where each is loaded."""
STUB = "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
CONFIG_PLACES = ("EFI/debian/grub.cfg", "EFI/BOOT/grub.cfg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """`recipe.toml`."""

    packages: tuple[str, ...]
    loaders: tuple[str, ...]
    kernel: str
    kernels: str
    modules: tuple[str, ...]
    spare_module: str
    left_out: tuple[str, ...]
    root_mebibytes: int
    esp_mebibytes: int
    command_line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A built image. root, esp: folders with the files that `root.img` and `esp.img` hold."""

    folder: Path
    recipe: Recipe
    kernel: str
    previous: str

    @property
    def root(self) -> Path:
        """The root file system's files."""
        return self.folder / "root"

    @property
    def esp(self) -> Path:
        """The EFI system partition's files."""
        return self.folder / "esp"

    @property
    def root_disk(self) -> Path:
        """The root file system."""
        return self.folder / "root.img"

    @property
    def esp_disk(self) -> Path:
        """The disk that the machine starts from."""
        return self.folder / "esp.img"

    def vmlinuz(self, kernel: str) -> Path:
        """A kernel, by its package."""
        return self.folder / "boot" / kernel / "vmlinuz"

    def initrd(self, kernel: str) -> Path:
        """The initramfs of a kernel."""
        return self.folder / "boot" / kernel / "initrd.img"

    def unify(self, command_line: str, out: Path) -> None:
        """A unified image of the current kernel, its initramfs and a command line, unsigned; UAPI.5.

        Raises:
            ConnectorError: objcopy is missing.
        """
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            texts = {".osrel": "ID=testbed\n", ".cmdline": command_line, ".uname": self.kernel}
            files = {".linux": self.vmlinuz(self.kernel), ".initrd": self.initrd(self.kernel)}
            for section, text in texts.items():
                files[section] = work / section[1:]
                files[section].write_text(text)
            options: list[str | Path] = []
            for section, place in SECTIONS.items():
                options += [
                    "--add-section",
                    f"{section}={files[section]}",
                    "--change-section-vma",
                    f"{section}={place:#x}",
                ]
            run(["objcopy", *options, self.folder / "stub.efi", out])

    def grub_config(self, command_line: str) -> str:
        """GRUB's configuration, for a kernel's command line."""
        return GRUB.format(command_line=command_line)


def cache_folder() -> Path:
    """Where images and packages are kept."""
    chosen = os.environ.get(CACHE_VARIABLE)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else base / "bartizan" / "testbed"


def has_guests() -> bool:
    """This machine's apt gives the packages that the guests are made of: it is Debian 12."""
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return False
    return (found.get("ID"), found.get("VERSION_ID")) == ("debian", "12")


def read_recipe() -> Recipe:
    """The recipe of the image."""
    found = tomllib.loads((HERE / "recipe.toml").read_text("utf-8"))
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    return Recipe(**fields)


def built(cache: Path) -> Image:
    """The image, from the cache where it is.

    Raises:
        ConnectorError: a package or a tool is missing.
    """
    recipe = read_recipe()
    wanted = Wanted(packages=(*recipe.packages, *recipe.loaders), kernel=recipe.kernel, kernels=recipe.kernels)
    packages = fetched(cache, wanted)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        work = Path(name)
        agent = work / "bartizan-agent"
        subprocess.run(
            [sys.executable, PROJECT / "scripts/build-agent", "--out", agent], check=True, capture_output=True
        )
        folder = cache / f"image-{_digest(packages, agent)}"
        if not folder.is_dir():
            made = work / "made"
            _build(recipe, packages, agent, made)
            with suppress(OSError):  # somebody else has just built the same
                made.rename(folder)
    os.utime(folder)
    _tidy(cache)
    return Image(folder=folder, recipe=recipe, kernel=packages.kernel, previous=packages.previous)


def _digest(packages: Packages, agent: Path) -> str:
    """Over everything that goes into an image."""
    sources = [*(HERE / name for name in BUILDERS), *sorted(GUEST.iterdir()), agent]
    parts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    return hashlib.sha256(repr([parts, sorted(packages.digests.items())]).encode()).hexdigest()[:16]


def _tidy(cache: Path) -> None:
    """Let go of images that were not used lately."""
    every = sorted(cache.glob("image-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in every[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _build(recipe: Recipe, packages: Packages, agent: Path, folder: Path) -> None:
    unpacked, root, esp = folder / "unpacked", folder / "root", folder / "esp"
    for path in (unpacked, root, esp):
        path.mkdir(parents=True)
    packages.unpack(recipe.loaders, unpacked)
    _build_root(recipe, packages, agent, root)
    for kernel in (packages.kernel, packages.previous):
        _build_kernel(recipe, packages, kernel, folder)
    spare = folder / "boot" / packages.kernel / f"{recipe.spare_module}.ko"
    shutil.copy(spare, root / "usr/lib/modules")
    for source, place in LOADERS.items():
        _put(esp / place, (unpacked / source).read_bytes())
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(folder / "boot" / packages.kernel / name, esp / name)
        _put(root / "boot" / name, (esp / name).read_bytes())
    for place in CONFIG_PLACES:
        _put(esp / place, GRUB.format(command_line=recipe.command_line).encode())
    _compile(root)
    shutil.copy(unpacked / STUB, folder / "stub.efi")
    _selinux_policy(unpacked, root)
    shutil.rmtree(unpacked)
    make_esp(esp, folder / "esp.img", mebibytes=recipe.esp_mebibytes)
    make_root(root, folder / "root.img", mebibytes=recipe.root_mebibytes)


def _build_root(recipe: Recipe, packages: Packages, agent: Path, root: Path) -> None:
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
    packages.unpack(recipe.packages, root)
    for name in recipe.left_out:
        shutil.rmtree(root / name, ignore_errors=True)
    _put(root / "etc/apparmor.d/testbed", (GUEST / "apparmor").read_bytes())
    for name, place in PLACES.items():
        _put(root / place, (GUEST / name).read_bytes(), mode=0o755)
    _put(root / "usr/bin/bartizan-agent", agent.read_bytes(), mode=0o755)
    _put(root / "etc/passwd", USERS.encode())
    _put(root / "etc/group", GROUPS.encode())
    (root / "usr/bin/python3").symlink_to("python3.11")
    (root / "usr/lib/modules").mkdir(exist_ok=True)
    for applet in run([root / "usr/bin/busybox", "--list-full"]).split():
        link = root / "usr" / ("sbin" if "sbin" in applet else "bin") / Path(applet).name
        if not link.exists() and not link.is_symlink():
            link.symlink_to("/usr/bin/busybox")


def _build_kernel(recipe: Recipe, packages: Packages, kernel: str, folder: Path) -> None:
    """Kernel and initramfs of one package."""
    unpacked = folder / "unpacked" / kernel
    unpacked.mkdir()
    packages.unpack([kernel], unpacked)
    target = folder / "boot" / kernel
    target.mkdir(parents=True)
    [image] = (unpacked / "boot").glob("vmlinuz-*")
    shutil.copy(image, target / "vmlinuz")
    modules = {path.stem: path for path in (unpacked / "lib/modules").rglob("*.ko")}
    shutil.copy(modules[recipe.spare_module], target)
    files = dict(_initramfs(recipe, modules, folder / "root/usr/bin/busybox"))
    (target / "initrd.img").write_bytes(archive(files, folders=frozenset({"proc", "sys", "dev", "root", "m"})))


def _initramfs(recipe: Recipe, modules: dict[str, Path], busybox: Path) -> Iterator[tuple[str, bytes]]:
    yield "init", (GUEST / "initramfs-init").read_bytes()
    yield "bin/busybox", busybox.read_bytes()
    present = [name for name in recipe.modules if name in modules]
    yield "modules", "\n".join(present).encode() + b"\n"
    for name in present:
        yield f"m/{name}.ko", modules[name].read_bytes()


def _selinux_policy(unpacked: Path, root: Path) -> None:
    """The policy of SELinux guests, compiled by the compiler of their distribution."""
    out = root / "etc/selinux/policy"
    out.parent.mkdir(parents=True, exist_ok=True)
    compiler = _of(root, unpacked / "usr/bin/secilc", more=unpacked / "usr/lib/x86_64-linux-gnu")
    run(
        [
            *compiler,
            "-c",
            "33",
            "-M",
            "true",
            "-o",
            out,
            "-f",
            "/dev/null",
            PROJECT / "scripts/posture_guests/policy.cil",
        ]
    )


def _of(root: Path, program: Path, *, more: Path | None = None) -> list[str | Path]:
    """How a program of the guests is run here: by their loader, with their libraries."""
    libraries = ":".join(map(str, filter(None, (more, root / "usr/lib/x86_64-linux-gnu"))))
    return [next((root / "usr/lib64").glob("ld-linux-x86-64.so.2")), "--library-path", libraries, program]


def _compile(root: Path) -> None:
    """Byte code for the guests' Python, made by that Python: without it every start takes seconds under emulation."""
    command = [*_of(root, root / "usr/bin/python3.11"), "-S", "-m", "compileall", "-q"]
    command += [
        "-j",
        "2",
        "-s",
        str(root),
        "-p",
        "/",
        "--invalidation-mode",
        "unchecked-hash",
        root / "usr/lib/python3.11",
    ]
    environment = {"PYTHONHOME": str(root / "usr"), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ConnectorError(f"the guests' Python cannot compile its library: {(ran.stdout + ran.stderr)[-1000:]}")


def _put(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


if __name__ == "__main__":
    try:
        made = f"image {built(cache_folder()).folder}" if has_guests() else "no image: its guests are made of Debian 12"
        sys.stdout.write(f"testbed: {made}\n")
    except ConnectorError as fault:
        sys.stderr.write(f"failed: {fault}\n")
        sys.exit(3)
