"""Boots guests under emulation and keeps what they tell and attest: `tests/vectors/posture/{guests,attested}`.

Needs qemu-system-x86, swtpm, swtpm-tools, and below `--packages` the unpacked packages linux-image-…-cloud-amd64,
shim-signed, grub-efi-amd64-signed, ovmf, mtools, busybox-static, apparmor, secilc and libsepol2 (apt-get download,
dpkg -x). Each guest starts through UEFI with Secure Boot from one disk; it has no network.
"""

import argparse
import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

from image import ROOT, disk, files, initramfs, with_menu
from verifier import Console

from bartizan.connectors.swtpm.manufacture import Factory, manufacture, open_factory

VECTORS = ROOT / "tests" / "vectors" / "posture"
GUESTS, ATTESTED = VECTORS / "guests", VECTORS / "attested"
PATIENCE = 900
"""Seconds for one boot; two hundred are usual where nothing else runs."""
GOOD = "rootfstype=ramfs lockdown=integrity module.sig_enforce=1 intel_iommu=on iommu.strict=1"
MEASURED = "ima_policy=tcb|critical_data"
APPARMOR = "lsm=lockdown,capability,landlock,yama,apparmor,bpf"
SELINUX = "lsm=lockdown,capability,landlock,yama,selinux,bpf enforcing=1"
IOMMU = ("-device", "intel-iommu,intremap=on,caching-mode=on")


@dataclass(frozen=True, kw_only=True)
class Boot:
    """What a guest does, and how it is started."""

    task: str = "boot"
    cmdline: str = f"{GOOD} {MEASURED} {APPARMOR}"
    devices: tuple[str, ...] = IOMMU
    secure_boot: bool = True
    tpm: str = "guest"


def without(*words: str) -> str:
    return " ".join(word for word in Boot.cmdline.split(" ") if word not in words)


UNLOCKED = without("lockdown=integrity")
UNSIGNED = without("lockdown=integrity", "module.sig_enforce=1")
BOOTS = {
    "reference": Boot(task="attested-apparmor"),
    "apparmor-attested": Boot(task="attested-apparmor"),
    "selinux-attested": Boot(task="attested-selinux", cmdline=f"{GOOD} {MEASURED} {SELINUX}"),
    "domain-attested": Boot(task="attested-domain", cmdline=f"{GOOD} {MEASURED} {SELINUX}"),
    "no-iommu": Boot(task="attested-boot", devices=()),
    "no-lockdown": Boot(task="attested-boot", cmdline=UNLOCKED, secure_boot=False),
    "apparmor": Boot(task="apparmor"),
    "selinux": Boot(task="selinux", cmdline=f"{GOOD} {MEASURED} {SELINUX}"),
    "CPU-002~off": Boot(cmdline=f"{Boot.cmdline} mitigations=off"),
    "CPU-003~spectre": Boot(cmdline=f"{Boot.cmdline} spectre_v2=off"),
    "IOM-001~none": Boot(devices=()),
    "IOM-003~off": Boot(cmdline=f"{Boot.cmdline} intel_iommu=off"),
    "IOM-004~passthrough": Boot(cmdline=f"{Boot.cmdline} iommu=pt"),
    "IOM-006~override": Boot(cmdline=f"{Boot.cmdline} pcie_acs_override=downstream"),
    "IOM-007~intremap": Boot(cmdline=f"{Boot.cmdline} intremap=off"),
    "HWT-003~off": Boot(secure_boot=False),
    "HWT-004~none": Boot(cmdline=UNLOCKED, secure_boot=False),
    "HWT-006~unsigned": Boot(cmdline=UNSIGNED, secure_boot=False),
    "KRN-006~apparmor": Boot(cmdline=f"{Boot.cmdline} apparmor=0"),
}


def firmware(packages: Path, state: Path, *, secure_boot: bool) -> list[str]:
    """UEFI with Microsoft's keys, or with none."""
    folder = packages / "usr/share/OVMF"
    variables = state / "variables"
    shutil.copyfile(folder / ("OVMF_VARS_4M.ms.fd" if secure_boot else "OVMF_VARS_4M.fd"), variables)
    drives = (f"unit=0,readonly=on,file={folder / 'OVMF_CODE_4M.ms.fd'}", f"unit=1,file={variables}")
    return [word for drive in drives for word in ("-drive", f"if=pflash,format=raw,{drive}")]


def booted(boot: Boot, packages: Path, made: Path, factory: Factory) -> tuple[str, Console]:
    """The console of one boot, and what it attested."""
    if not factory.state(boot.tpm).exists():
        manufacture(factory, [boot.tpm])
    state = factory.state(boot.tpm)
    control = state / "control"
    control.unlink(missing_ok=True)
    chip = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", f"type=unixio,path={control}"]
    with subprocess.Popen([*chip, "--terminate", "--flags", "startup-clear"]) as tpm:
        while not control.exists():
            time.sleep(0.01)
        machine = ["qemu-system-x86_64", "-machine", "q35,accel=tcg,kernel-irqchip=off,smm=on", "-cpu", "max"]
        machine += ["-global", "driver=cfi.pflash01,property=secure,value=on", "-m", "1536", "-display", "none"]
        machine += ["-nodefaults", "-no-reboot", "-serial", "stdio", *boot.devices]
        machine += firmware(packages, state, secure_boot=boot.secure_boot)
        machine += ["-drive", f"if=none,id=d,format=raw,readonly=on,file={made}"]
        machine += ["-device", "virtio-blk-pci,drive=d,bootindex=0"]
        machine += ["-chardev", f"socket,id=c,path={control}", "-tpmdev", "emulator,id=t,chardev=c"]
        try:
            return conversation([*machine, "-device", "tpm-tis,tpmdev=t"])
        finally:
            tpm.terminate()


def conversation(command: list[str]) -> tuple[str, Console]:
    """Everything that a guest says until it ends, with a Verifier at the other end of its console."""
    console = Console()
    lines: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guest:
        end = Timer(PATIENCE, guest.kill)
        end.start()
        for raw in guest.stdout:
            line = raw.decode("ascii", "replace").strip()
            lines.append(line)
            answer = console.answer(line)
            if answer is not None:
                guest.stdin.write(f"{answer}\n".encode())
                guest.stdin.flush()
        end.cancel()
    return "\n".join(lines), console


def told(console: str) -> dict[str, bytes]:
    found = re.findall(r"^(?:POSTURE|IMA) (\S+) (\S+)$", console, re.MULTILINE)
    return {name: zlib.decompress(base64.b64decode(text)) for name, text in found}


def keep(boot: str, documents: dict[str, bytes]) -> None:
    """The first posture of a guest in full, the others as what changed since."""
    if "list" in documents:
        (GUESTS / "selinux.ima").write_bytes(documents.pop("list"))
    base = {"apparmor": "good", "selinux": "enforcing"}.get(boot)
    if base:
        (GUESTS / f"{base}.json").write_bytes(documents[base])
    good = json.loads((GUESTS / f"{base or 'good'}.json").read_bytes())
    for name, raw in documents.items():
        if name != base:
            change = {"base": base or "good", **difference(good, json.loads(raw))}
            path = GUESTS / f"{boot if name == 'boot' else name}.change.json"
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


def keep_evidence(boot: str, console: Console, factory: Factory) -> None:
    """What an enrolled guest sent, each document compressed; and whom its TPM's certificates are from."""
    if not console.enrolled:
        raise SystemExit(f"{boot}: the attestation key was not activated")
    folder = ATTESTED / boot
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "enrol.cbor").write_bytes(console.identity)
    for name, raw in console.evidence.items():
        (folder / f"{name}.cbor.z").write_bytes(zlib.compress(raw, 9))
    shutil.copyfile(factory.root_certificate, ATTESTED / "ek_root.pem")
    shutil.copyfile(factory.issuer_certificate, ATTESTED / "ek_issuer.pem")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--tpms", type=Path, required=True, help="a folder for the emulated TPMs, kept between runs")
    parser.add_argument("boots", nargs="*", default=list(BOOTS))
    given = parser.parse_args()
    GUESTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open_factory(given.tpms) as factory:
        work = Path(folder)
        image = work / "initramfs"
        image.write_bytes(initramfs(files(given.packages, work)))
        made = disk(given.packages, image, work)
        for name in given.boots:
            boot = BOOTS[name]
            with_menu(given.packages, made, f"console=ttyS0 quiet panic=-1 guest={boot.task} {boot.cmdline}")
            said, console = booted(boot, given.packages, made, factory)
            documents = told(said)
            print(name, len(documents), len(console.evidence), re.findall(r"GUEST .*", said), flush=True)
            if "done after" not in said:
                print(said[-3000:], file=sys.stderr)
                continue
            if documents:
                keep(name, documents)
            if console.evidence:
                keep_evidence(name, console, factory)


if __name__ == "__main__":
    main()
