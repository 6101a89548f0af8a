"""Runs as the first program of a guest: hardens it, starts workloads, breaks one thing at a time, tells each posture.

Each posture goes to the console as `POSTURE NAME BASE64`; `boot.py` takes it from there. Standard library only.
"""

import base64
import contextlib
import os
import platform
import socket
import subprocess
import sys
import time
import traceback
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from attest import Attester
from workloads import (
    FENCED,
    GOOD,
    NEWNET,
    NEWNS,
    NEWPID,
    NEWUSER,
    OTHER,
    OTHERS,
    SANDBOX,
    container,
    keep,
    machine,
    write,
)

from bartizan.collect.posture.document import collect_posture

SETTINGS = {
    "dev/tty/ldisc_autoload": ("0", "1", "KRN-017"),
    "fs/protected_hardlinks": ("1", "0", "KRN-015"),
    "fs/protected_symlinks": ("1", "0", "KRN-014"),
    "fs/suid_dumpable": ("0", "1", "KRN-016"),
    "kernel/dmesg_restrict": ("1", "0", "KRN-009"),
    "kernel/io_uring_disabled": ("2", "0", "KRN-004"),
    "kernel/kptr_restrict": ("2", "0", "KRN-002"),
    "kernel/perf_event_paranoid": ("3", "1", "KRN-010"),
    "kernel/randomize_va_space": ("2", "0", "KRN-011"),
    "kernel/unprivileged_bpf_disabled": ("2", "0", "KRN-003"),
    "kernel/yama/ptrace_scope": ("1", "0", "KRN-001"),
    "net/core/bpf_jit_harden": ("2", "0", "KRN-012"),
    "vm/unprivileged_userfaultfd": ("0", "1", "KRN-005"),
}
"""Kernel settings with their good value, a bad one, and the rule that this breaks."""


def tell(name: str) -> None:
    raw = collect_posture()
    print(f"\nPOSTURE {name} {base64.b64encode(zlib.compress(raw, 9)).decode()}", flush=True)


def hardened() -> None:
    for name, (good, _, _) in SETTINGS.items():
        write(f"/proc/sys/{name}", good)


def sockets() -> None:
    """What a switch would leave behind: a socket of vhost-user, runtime folders, a mount of huge pages."""
    for path in ("/run/dpdk/rte", "/run/openvswitch", "/dev/hugepages"):
        Path(path).mkdir(parents=True, exist_ok=True)
        Path(path).chmod(0o700)
    subprocess.run(["/bin/busybox", "mount", "-t", "hugetlbfs", "-o", "mode=0700", "h", "/dev/hugepages"], check=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind("/run/openvswitch/vhu1")
    server.listen()
    Path("/run/openvswitch/vhu1").chmod(0o660)
    KEPT.append(server)


KEPT: list[socket.socket] = []


def breaks(name: str, path: str, bad: str, good: str) -> None:
    write(path, bad)
    tell(name)
    write(path, good)


@contextlib.contextmanager
def loaded(profiles: str) -> Iterator[None]:
    """AppArmor profiles, for a while."""
    subprocess.run(["/sbin/apparmor_parser", "-r", "-K", profiles], check=True)
    yield
    subprocess.run(["/sbin/apparmor_parser", "-R", profiles], check=True)


def modes() -> None:
    """Folders, sockets and mounts that are open to everybody."""
    for name, path, bad, good in (
        ("DPK-005 mount", "/dev/hugepages", 0o777, 0o700),
        ("DPK-008 folder", "/run/dpdk/rte", 0o755, 0o700),
        ("DPK-010 socket", "/run/openvswitch/vhu1", 0o777, 0o660),
    ):
        Path(path).chmod(bad)
        tell(name.replace(" ", "~"))
        Path(path).chmod(good)


def machines() -> None:
    """Guests that are fenced worse, one by one; the container stays as it is."""
    memory = "memory-backend-file,id=m,size=16M,mem-path=/run/memory,share=on"
    open_memory = ("-object", memory, "-machine", "pc,memory-backend=m")
    variants = {
        "QMP-001~user": replace(GOOD, user=0),
        "QMP-003~sandbox": replace(GOOD, sandbox=None),
        "QMP-005~sandbox": replace(GOOD, sandbox="on"),
        "QMP-005~spawn": replace(GOOD, sandbox=SANDBOX.replace("spawn=deny,", "")),
        "QMP-008~namespace": replace(GOOD, unshare=0),
        "QMP-009~cgroup": replace(GOOD, cgroup="/sys/fs/cgroup/user.slice"),
        "QMP-010~device": replace(GOOD, before=keep("/dev/kmsg", os.O_RDONLY)),
        "QMP-011~memory": replace(GOOD, extra=open_memory),
        "QMP-014~uuid": replace(GOOD, uuid=OTHER),
        "QMP-014~name": replace(GOOD, name="instance-00000666"),
        "QMP-016~unconfined": replace(GOOD, label=None),
        "AA-002~profile": replace(GOOD, label="docker-default"),
    }
    Path("/run").chmod(0o1777)
    for name, start in variants.items():
        with machine(start):
            tell(name)
    with loaded("/complaining"), machine(replace(GOOD, label="complaining")):
        tell("QMP-016~complain")
    installed, saved = Path("/usr/bin/qemu-system-x86_64"), Path("/usr/bin/saved")
    saved.write_bytes(installed.read_bytes())
    with machine():
        installed.unlink()
        tell("QMP-013~deleted")
    saved.chmod(0o755)
    saved.rename(installed)


def containers() -> None:
    """Containers that are fenced worse, one by one; the machine stays as it is."""
    variants = {
        "LXC-001~root": replace(FENCED, mapping="0 0 65536"),
        "LXC-002~capabilities": replace(FENCED, spaces=NEWNS | NEWPID | OTHERS),
        "LXC-003~filter": replace(FENCED, seccomp=False),
        "LXC-004~unconfined": replace(FENCED, label=None),
        "LXC-005~network": replace(FENCED, spaces=NEWUSER | NEWNS | NEWPID | OTHERS & ~NEWNET),
        "QMP-010~container": replace(FENCED, before=keep("/dev/kmsg", os.O_RDONLY)),
        "QMP-017~container": replace(FENCED, cgroup="/sys/fs/cgroup/system.slice/nobody.scope"),
    }
    for name, start in variants.items():
        write("/proc/sys/user/max_user_namespaces", "100")
        with container(start):
            write("/proc/sys/user/max_user_namespaces", "0")
            tell(name)


@contextlib.contextmanager
def good_container() -> Iterator[None]:
    write("/proc/sys/user/max_user_namespaces", "100")
    with container():
        write("/proc/sys/user/max_user_namespaces", "0")
        yield


def apparmor() -> None:
    """Everything that can be changed while the guest runs."""
    subprocess.run(["/sbin/apparmor_parser", "-r", "-K", "/profiles"], check=True)
    tell("idle")
    with good_container(), machine():
        tell("HWT-010~kexec")
        write("/proc/sys/kernel/kexec_load_disabled", "1")
        tell("good")
        for name, (good, bad, rule) in SETTINGS.items():
            breaks(f"{rule}~setting", f"/proc/sys/{name}", bad, good)
        breaks("KSM-001~run", "/sys/kernel/mm/ksm/run", "1", "2")
        write("/sys/kernel/mm/ksm/run", "0")
        modes()
        with loaded("/complaining"):
            tell("AA-003~complain")
    with good_container():
        machines()
    with machine():
        containers()


def boot() -> None:
    """What only another boot changes."""
    write("/proc/sys/kernel/kexec_load_disabled", "1")
    if Path("/sys/kernel/security/apparmor").is_dir():
        subprocess.run(["/sbin/apparmor_parser", "-r", "-K", "/profiles"], check=True)
        with good_container(), machine():
            tell("boot")
    else:
        with machine(replace(GOOD, label=None)):
            tell("boot")


LABEL = "system_u:system_r:svirt_t:s0:c1,c2"


def policy(name: str) -> None:
    Path("/sys/fs/selinux/load").write_bytes(Path(f"/policy.{name}").read_bytes())


def under_selinux() -> None:
    """SELinux as it should be: a policy, enforced, now and after the next boot."""
    subprocess.run(["/bin/busybox", "mount", "-t", "selinuxfs", "s", "/sys/fs/selinux"], check=True)
    Path("/etc/selinux").mkdir(parents=True)
    write("/etc/selinux/config", "SELINUX=enforcing\n")
    write("/proc/sys/kernel/kexec_load_disabled", "1")
    write("/sys/fs/selinux/enforce", "1")
    policy("strict")


def selinux() -> None:
    """SELinux with a policy of its own: enforcing, permissive, with a permissive domain."""
    under_selinux()
    with machine(replace(GOOD, label=LABEL)):
        tell("enforcing")
        write("/sys/fs/selinux/enforce", "0")
        tell("permissive")
        write("/sys/fs/selinux/enforce", "1")
        tell("enforcing-again")
    with machine(replace(GOOD, label="system_u:system_r:svirt_t:s0")):
        tell("categories")
    policy("permissive")
    with machine(replace(GOOD, label=LABEL)):
        tell("permissive-domain")
    raw = Path("/sys/kernel/security/ima/binary_runtime_measurements").read_bytes()
    print(f"\nIMA list {base64.b64encode(zlib.compress(raw, 9)).decode()}", flush=True)


def attested_apparmor() -> None:
    """Quotes of a hardened guest, and of the same guest with a machine that AppArmor only watches, or not even that."""
    subprocess.run(["/sbin/apparmor_parser", "-r", "-K", "/profiles"], check=True)
    write("/proc/sys/kernel/kexec_load_disabled", "1")
    attester = Attester()
    with good_container():
        with machine():
            attester.attest("hardened")
        with loaded("/complaining"), machine(replace(GOOD, label="complaining")):
            attester.attest("complain")
        with machine(replace(GOOD, label=None)):
            attester.attest("unconfined")


def attested_selinux() -> None:
    """Quotes under SELinux: enforcing, permissive, permissive and lying about it, with a permissive domain."""
    under_selinux()
    attester = Attester()
    with machine(replace(GOOD, label=LABEL)):
        attester.attest("enforcing")
        before = collect_posture()
        write("/sys/fs/selinux/enforce", "0")
        attester.attest("permissive")
        attester.posture = lambda: before
        attester.attest("lying")
        write("/sys/fs/selinux/enforce", "1")


def attested_domain() -> None:
    """A quote under SELinux with a policy whose domain for guests is permissive."""
    under_selinux()
    policy("permissive")
    attester = Attester()
    with machine(replace(GOOD, label=LABEL)):
        attester.attest("permissive-domain")


def attested_boot() -> None:
    """A quote of what only another boot changes."""
    subprocess.run(["/sbin/apparmor_parser", "-r", "-K", "/profiles"], check=True)
    write("/proc/sys/kernel/kexec_load_disabled", "1")
    attester = Attester()
    with good_container(), machine():
        attester.attest("booted")


TASKS = {
    "apparmor": apparmor,
    "boot": boot,
    "selinux": selinux,
    "attested-apparmor": attested_apparmor,
    "attested-selinux": attested_selinux,
    "attested-domain": attested_domain,
    "attested-boot": attested_boot,
}


def main() -> None:
    words = dict(word.partition("=")[::2] for word in Path("/proc/cmdline").read_text(encoding="ascii").split())
    print(f"GUEST {platform.release()} {words.get('guest')}", flush=True)
    hardened()
    sockets()
    TASKS[words["guest"]]()


if __name__ == "__main__":
    started = time.monotonic()
    try:
        main()
        print(f"GUEST done after {time.monotonic() - started:.0f} s", flush=True)
    except Exception as error:  # noqa: BLE001  # the console is all there is
        traceback.print_exc()
        print(f"GUEST failed: {error!r}", flush=True)
    sys.stdout.flush()
    subprocess.run(["/bin/busybox", "poweroff", "-f"], check=False)
