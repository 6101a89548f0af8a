"""Boots guests under emulation and keeps the postures that they tell: `tests/vectors/posture/guests/*.json`.

Needs qemu-system-x86, swtpm, and below `--packages` the unpacked packages linux-image-…-cloud-amd64, busybox-static,
apparmor and secilc (apt-get download, dpkg -x). The guests have one initramfs and no disk or network.
"""

import argparse
import base64
import json
import os
import re
import stat
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OUT = ROOT / "tests" / "vectors" / "posture" / "guests"
LIBRARIES = re.compile(r"(/\S+) \(0x")
GOOD = "lockdown=integrity module.sig_enforce=1 intel_iommu=on iommu.strict=1 ima_policy=tcb|critical_data"
APPARMOR = "lsm=lockdown,capability,landlock,yama,apparmor,bpf"
SELINUX = "lsm=lockdown,capability,landlock,yama,selinux,bpf enforcing=1"
IOMMU = ("-device", "intel-iommu,intremap=on,caching-mode=on")
BOOTS = {
    "apparmor": ("apparmor", f"{GOOD} {APPARMOR}", IOMMU),
    "selinux": ("selinux", f"{GOOD} {SELINUX}", IOMMU),
    "CPU-002~off": ("boot", f"{GOOD} {APPARMOR} mitigations=off", IOMMU),
    "CPU-003~spectre": ("boot", f"{GOOD} {APPARMOR} spectre_v2=off", IOMMU),
    "IOM-001~none": ("boot", f"{GOOD} {APPARMOR}", ()),
    "IOM-003~off": ("boot", f"{GOOD} {APPARMOR} intel_iommu=off", IOMMU),
    "IOM-004~passthrough": ("boot", f"{GOOD} {APPARMOR} iommu=pt", IOMMU),
    "IOM-006~override": ("boot", f"{GOOD} {APPARMOR} pcie_acs_override=downstream", IOMMU),
    "IOM-007~intremap": ("boot", f"{GOOD} {APPARMOR} intremap=off", IOMMU),
    "HWT-004~none": ("boot", f"{GOOD.replace('lockdown=integrity ', '')} {APPARMOR}", IOMMU),
    "HWT-006~unsigned": (
        "boot",
        f"{GOOD.replace('lockdown=integrity ', '').replace('module.sig_enforce=1 ', '')} {APPARMOR}",
        IOMMU,
    ),
    "KRN-006~apparmor": ("boot", f"{GOOD} {APPARMOR} apparmor=0", IOMMU),
}
"""A boot's name: what the guest does, its command line, further devices."""
INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sysfs /sys; $B mount -t devtmpfs dev /dev; $B mkdir -p /dev/shm /run /tmp
$B mount -t securityfs s /sys/kernel/security; $B mount -t cgroup2 c /sys/fs/cgroup; $B mount -t tmpfs t /run
exec >/dev/console 2>&1 </dev/null
PYTHONPATH=/lib/collectors exec /usr/bin/python3.11 -S -B /guest.py
"""


def linked(program: Path) -> Iterator[Path]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for match in LIBRARIES.finditer(said):
        yield Path(match[1])


def policies(packages: Path, work: Path) -> dict[str, Path]:
    """SELinux policies: one that denies, one whose domain for guests is permissive."""
    libraries = {**os.environ, "LD_LIBRARY_PATH": str(packages / "usr/lib/x86_64-linux-gnu")}
    sources = {"strict": [HERE / "policy.cil"], "permissive": [HERE / "policy.cil", HERE / "permissive.cil"]}
    for name, cil in sources.items():
        command = [packages / "usr/bin/secilc", "-c", "33", "-M", "true", "-o", work / name, "-f", "/dev/null", *cil]
        subprocess.run(command, check=True, env=libraries)
    return {f"policy.{name}": work / name for name in sources}


def library() -> dict[str, Path]:
    """Python's standard library, without what no guest needs."""
    folder = Path("/usr/lib/python3.11")
    left_out = {"test", "idlelib", "dist-packages", "__pycache__", "pydoc_data", "lib2to3", "ensurepip", "distutils"}
    every = (path for path in folder.rglob("*") if path.is_file())
    kept = [path for path in every if not left_out & set(path.parts) and path.suffix != ".a"]
    extensions = [path for path in kept if "_ctypes" in path.name]
    return {inside(path): path for path in [*kept, *(lib for one in extensions for lib in linked(one))]}


def inside(path: Path) -> str:
    return str(path).removeprefix("/")


def files(packages: Path, work: Path) -> dict[str, Path]:
    """Path in the guest to the file that goes there."""
    parser = packages / "sbin/apparmor_parser"
    found = {name: HERE / name for name in ("guest.py", "profiles", "complaining")}
    found |= {"bin/busybox": packages / "bin/busybox", "sbin/apparmor_parser": parser}
    found |= policies(packages, work) | library()
    for program in (Path("/usr/bin/python3.11"), Path("/usr/bin/qemu-system-x86_64")):
        found[inside(program)] = program
    for program in (Path("/usr/bin/python3.11"), Path("/usr/bin/qemu-system-x86_64"), parser):
        found |= {inside(path): path for path in linked(program)}
    for name in ("bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin"):
        places = (Path(folder) / name for folder in ("/usr/share/seabios", "/usr/share/qemu"))
        found |= {f"usr/share/seabios/{name}": path for path in places if path.is_file()}
    accelerators = Path("/usr/lib/x86_64-linux-gnu/qemu").glob("accel-*")
    collectors = ROOT / "src" / "bartizan"
    sources = [collectors / "__init__.py", *(collectors / "collect").rglob("*.py")]
    found |= {inside(path): path for path in accelerators}
    return found | {f"lib/collectors/bartizan/{path.relative_to(collectors)}": path for path in sources}


def entry(name: str, mode: int, data: bytes) -> bytes:
    """One member of a cpio archive of the new form; Linux driver-api/early-userspace/buffer-format.rst."""
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def initramfs(found: dict[str, Path]) -> bytes:
    folders = {
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        *(str(p) for name in found for p in Path(name).parents if str(p) != "."),
    }
    made = [entry(name, stat.S_IFDIR | 0o755, b"") for name in sorted(folders)]
    made += [entry(name, stat.S_IFREG | 0o755, path.read_bytes()) for name, path in sorted(found.items())]
    made += [entry("init", stat.S_IFREG | 0o755, INIT.encode())]
    return b"".join([*made, entry("TRAILER!!!", 0, b"")])


def booted(name: str, kernel: Path, image: Path, work: Path) -> str:
    """The console of one boot."""
    guest, cmdline, devices = BOOTS[name]
    state = Path(tempfile.mkdtemp(dir=work))
    control = state / "control"
    chip = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", f"type=unixio,path={control}"]
    with subprocess.Popen([*chip, "--terminate", "--flags", "startup-clear"]) as tpm:
        while not control.exists():
            time.sleep(0.01)
        machine = ["qemu-system-x86_64", "-machine", "q35,accel=tcg,kernel-irqchip=off", "-cpu", "max", "-m", "1536"]
        machine += ["-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio", "-kernel", kernel]
        machine += ["-initrd", image, "-append", f"console=ttyS0 quiet guest={guest} {cmdline}", *devices]
        machine += ["-chardev", f"socket,id=c,path={control}", "-tpmdev", "emulator,id=t,chardev=c"]
        machine += ["-device", "tpm-tis,tpmdev=t"]
        ran = subprocess.run(machine, capture_output=True, check=False, timeout=150)
        tpm.terminate()
    return ran.stdout.decode("ascii", "replace")


def told(console: str) -> dict[str, bytes]:
    found = re.findall(r"^(?:POSTURE|IMA) (\S+) (\S+)\r?$", console, re.MULTILINE)
    return {name: zlib.decompress(base64.b64decode(text)) for name, text in found}


def keep(boot: str, documents: dict[str, bytes]) -> None:
    """The first posture of a guest in full, the others as what changed since."""
    if "list" in documents:
        (OUT / "selinux.ima").write_bytes(documents.pop("list"))
    base = {"apparmor": "good", "selinux": "enforcing"}.get(boot)
    if base:
        (OUT / f"{base}.json").write_bytes(documents[base])
    good = json.loads((OUT / f"{base or 'good'}.json").read_bytes())
    for name, raw in documents.items():
        if name != base:
            change = {"base": base or "good", **difference(good, json.loads(raw))}
            path = OUT / f"{boot if name == 'boot' else name}.change.json"
            path.write_text(json.dumps(change, indent=1, sort_keys=True) + "\n", encoding="ascii")


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What is other or new in each list of rows by path, and what is gone; all workloads where one is other."""
    change: dict[str, Any] = {}
    for member in ("files", "folders", "nodes"):
        old, new = ({row["path"]: row for row in document[member]} for document in (before, after))
        rows = [row for path, row in new.items() if old.get(path) != row]
        gone = sorted(old.keys() - new.keys())
        if rows or gone:
            change[member] = {"rows": rows, "gone": gone}
    if after["workloads"] != before["workloads"]:
        change["workloads"] = after["workloads"]
    return change


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("boots", nargs="*", default=list(BOOTS))
    given = parser.parse_args()
    [kernel] = (given.packages / "boot").glob("vmlinuz-*")
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        image = work / "initramfs"
        image.write_bytes(initramfs(files(given.packages, work)))
        for name in given.boots:
            try:
                console = booted(name, kernel, image, work)
            except subprocess.TimeoutExpired:
                print(f"{name}: no end in time; boot it again by its name")
                continue
            documents = told(console)
            print(name, len(documents), re.findall(r"GUEST .*", console), flush=True)
            if "done after" not in console:
                print(console[-3000:])
                continue
            keep(name, documents)


if __name__ == "__main__":
    main()
