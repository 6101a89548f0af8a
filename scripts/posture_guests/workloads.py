"""Workloads of a guest: a virtual machine and a container, fenced as libvirt and a runtime do it, or worse.

Standard library only.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

UUID = "7f5c2c1e-4f0b-4b57-9a0e-6d4c7f7f0a01"
OTHER = "11111111-2222-3333-4444-555555555555"
QEMU_USER, CONTAINER_USER = 64055, 100000
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
MACHINE = "/sys/fs/cgroup/machine.slice/machine-qemu\\x2d1\\x2dinstance\\x2d00000001.scope"
CONTAINER = f"/sys/fs/cgroup/system.slice/docker-{'ab' * 32}.scope"
LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER, NEWPID, OTHERS = 0x20000, 0x10000000, 0x20000000, 0x40000000 | 0x4000000 | 0x8000000 | 0x2000000
NEWNET = 0x40000000
FILTER = bytes.fromhex("200000000000000015000001650000000600000001000500060000000000ff7f")
"""Load the system call's number; ptrace (101) is denied, everything else allowed."""


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
