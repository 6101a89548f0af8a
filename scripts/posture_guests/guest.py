"""Runs as the first program of a guest: hardens it, starts workloads, breaks one thing at a time, tells each posture.

Each posture goes to the console as `POSTURE NAME BASE64`; `boot.py` takes it from there. Standard library only.
"""

import base64
import contextlib
import ctypes
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bartizan.collect.posture.document import collect_posture

UUID = "7f5c2c1e-4f0b-4b57-9a0e-6d4c7f7f0a01"
OTHER = "11111111-2222-3333-4444-555555555555"
QEMU_USER, CONTAINER_USER = 64055, 100000
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
MACHINE = "/sys/fs/cgroup/machine.slice/machine-qemu\\x2d1\\x2dinstance\\x2d00000001.scope"
CONTAINER = f"/sys/fs/cgroup/system.slice/docker-{'ab' * 32}.scope"
SETTINGS = {
    "dev/tty/ldisc_autoload": ("0", "1", "KRN-017"),
    "fs/protected_hardlinks": ("1", "0", "KRN-015"),
    "fs/protected_symlinks": ("1", "0", "KRN-014"),
    "fs/suid_dumpable": ("0", "1", "KRN-016"),
    "kernel/dmesg_restrict": ("1", "0", "KRN-009"),
    "kernel/kptr_restrict": ("2", "0", "KRN-002"),
    "kernel/perf_event_paranoid": ("3", "1", "KRN-010"),
    "kernel/randomize_va_space": ("2", "0", "KRN-011"),
    "kernel/unprivileged_bpf_disabled": ("2", "0", "KRN-003"),
    "kernel/yama/ptrace_scope": ("1", "0", "KRN-001"),
    "net/core/bpf_jit_harden": ("2", "0", "KRN-012"),
    "vm/unprivileged_userfaultfd": ("0", "1", "KRN-005"),
}
"""Kernel settings with their good value, a bad one, and the rule that this breaks."""
LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER, NEWPID, OTHERS = 0x20000, 0x10000000, 0x20000000, 0x40000000 | 0x4000000 | 0x8000000 | 0x2000000
NEWNET = 0x40000000
FILTER = bytes.fromhex("200000000000000015000001650000000600000001000500060000000000ff7f")
"""Load the system call's number; ptrace (101) is denied, everything else allowed."""


def tell(name: str) -> None:
    raw = collect_posture()
    print(f"\nPOSTURE {name} {base64.b64encode(zlib.compress(raw, 9)).decode()}", flush=True)


def write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="ascii")


def call(done: int) -> None:
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def drop(user: int) -> None:
    """Become another user, without any capability for good."""
    for capability in range(41):
        LIBC.prctl(24, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def filtered() -> None:
    """Run under a system call filter from now on."""
    program = (ctypes.c_char * len(FILTER)).from_buffer_copy(FILTER)
    header = ctypes.create_string_buffer(16)
    header[0:2] = (4).to_bytes(2, "little")
    header[8:16] = ctypes.addressof(program).to_bytes(8, "little")
    call(LIBC.prctl(38, 1, 0, 0, 0))
    call(LIBC.prctl(22, 2, header, 0, 0))


def labelled(label: str) -> None:
    """The next program that is executed gets this label."""
    selinux = ":" in label
    write("/proc/self/attr/exec" if selinux else "/proc/self/attr/apparmor/exec", label if selinux else f"exec {label}")


@contextlib.contextmanager
def running(prepare: Callable[[], None], argv: list[str], says: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said that it is up."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=prepare,  # noqa: PLW1509  # one thread
        close_fds=False,
    ) as process:
        heard = b""
        while says not in heard:
            more = os.read(process.stdout.fileno(), 4096)
            if not more:
                raise RuntimeError(f"{argv[0]} ended: {heard!r}")
            heard += more
        try:
            yield process
            if process.poll() is not None:
                raise RuntimeError(f"{argv[0]} ended: {os.read(process.stdout.fileno(), 4096)!r}")
        finally:
            process.kill()


@dataclass(frozen=True)
class Machine:
    """How a guest of the guest is started: as libvirt does unless something is said to the contrary."""

    uuid: str = UUID
    name: str = "instance-00000001"
    cgroup: str = MACHINE
    unshare: int = NEWNS
    user: int = QEMU_USER
    sandbox: str | None = SANDBOX
    label: str | None = f"libvirt-{UUID}"
    extra: tuple[str, ...] = ()
    before: Callable[[], None] = lambda: None


GOOD = Machine()


def machine(start: Machine = GOOD) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """A running guest of the guest."""

    def prepare() -> None:
        Path(start.cgroup).mkdir(parents=True, exist_ok=True)
        write(f"{start.cgroup}/cgroup.procs", str(os.getpid()))
        if start.unshare:
            call(LIBC.unshare(start.unshare))
        start.before()
        if start.label:
            labelled(start.label)
        if start.user:
            drop(start.user)

    argv = ["/usr/bin/qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-nodefaults", "-S", "-m", "16"]
    argv += ["-monitor", "stdio", "-name", f"guest={start.name},debug-threads=on", "-uuid", start.uuid, *start.extra]
    return running(prepare, argv + (["-sandbox", start.sandbox] if start.sandbox else []), b"(qemu)")


def keep(path: str, flags: int) -> Callable[[], None]:
    """Hold a file open across the start of the program."""

    def prepare() -> None:
        os.set_inheritable(os.open(path, flags), True)

    return prepare


@dataclass(frozen=True)
class Container:
    """How a container is started."""

    spaces: int = NEWUSER | NEWNS | NEWPID | OTHERS
    mapping: str = f"0 {CONTAINER_USER} 65536"
    seccomp: bool = True
    label: str | None = "docker-default"
    cgroup: str = CONTAINER
    before: Callable[[], None] = lambda: None


FENCED = Container()


def container(  # noqa: C901  # three processes, one after the other
    start: Container = FENCED,
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """A shell in namespaces of its own."""
    ready, mapped = os.pipe(), os.pipe()

    def attend(child: int) -> None:
        """In a child that stays outside: say who of the container is whom."""
        os.read(ready[0], 1)
        if start.spaces & NEWUSER:
            write(f"/proc/{child}/uid_map", start.mapping)
            write(f"/proc/{child}/gid_map", start.mapping)
        os.write(mapped[1], b"x")
        os._exit(0)

    def enter() -> None:
        """In the process that makes the namespaces: its child becomes the container, it ends itself."""
        write(f"{start.cgroup}/cgroup.procs", str(os.getpid()))
        call(LIBC.unshare(start.spaces))
        os.write(ready[1], b"x")
        os.read(mapped[0], 1)
        if start.spaces & NEWUSER:
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        if os.fork():
            os._exit(0)

    def prepare() -> None:
        """Whoever asked for a program waits for this process; the program itself runs in a grandchild."""
        Path(start.cgroup).mkdir(parents=True, exist_ok=True)
        start.before()
        maker = os.fork()
        if maker:
            if os.fork() == 0:
                attend(maker)
            os.closerange(3, 256)  # so that the pipe that tells of the program's start ends with the grandchild
            os.waitpid(maker, 0)
            signal.pause()
        enter()
        if start.label:
            labelled(start.label)
        if start.seccomp:
            filtered()

    return running(prepare, ["/bin/busybox", "sh", "-c", "echo up; read line"], b"up")


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


def selinux() -> None:
    """SELinux with a policy of its own: enforcing, permissive, with a permissive domain."""
    subprocess.run(["/bin/busybox", "mount", "-t", "selinuxfs", "s", "/sys/fs/selinux"], check=True)
    label = "system_u:system_r:svirt_t:s0:c1,c2"
    write("/sys/fs/selinux/enforce", "1")
    Path("/sys/fs/selinux/load").write_bytes(Path("/policy.strict").read_bytes())
    with machine(replace(GOOD, label=label)):
        tell("enforcing")
        write("/sys/fs/selinux/enforce", "0")
        tell("permissive")
        write("/sys/fs/selinux/enforce", "1")
        tell("enforcing-again")
    with machine(replace(GOOD, label="system_u:system_r:svirt_t:s0")):
        tell("categories")
    Path("/sys/fs/selinux/load").write_bytes(Path("/policy.permissive").read_bytes())
    with machine(replace(GOOD, label=label)):
        tell("permissive-domain")
    raw = Path("/sys/kernel/security/ima/binary_runtime_measurements").read_bytes()
    print(f"\nIMA list {base64.b64encode(zlib.compress(raw, 9)).decode()}", flush=True)


def main() -> None:
    words = dict(word.partition("=")[::2] for word in Path("/proc/cmdline").read_text(encoding="ascii").split())
    print(f"GUEST {platform.release()} {words.get('guest')}", flush=True)
    hardened()
    sockets()
    {"apparmor": apparmor, "boot": boot, "selinux": selinux}[words["guest"]]()


if __name__ == "__main__":
    started = time.monotonic()
    try:
        main()
        print(f"GUEST done after {time.monotonic() - started:.0f} s", flush=True)
    except Exception as error:  # noqa: BLE001  # the console is all there is
        print(f"GUEST failed: {error!r}", flush=True)
    sys.stdout.flush()
    subprocess.run(["/bin/busybox", "poweroff", "-f"], check=False)
