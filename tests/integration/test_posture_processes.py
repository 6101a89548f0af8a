"""Real QEMU, bubblewrap, unshare and DPDK processes on this machine: found, named, and judged in seven parts each."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bartizan.app.defaults import posture_rules
from bartizan.appraise.posture.engine import appraise_posture
from bartizan.collect.posture.document import collect_posture
from bartizan.formats.posture import decode_posture
from bartizan.model.posture import Part, Profile, WorkloadVerdict
from bartizan.model.result import Tier

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts processes as other users: needs root")

QEMU = ("qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-nodefaults", "-S", "-m", "64", "-monitor", "stdio")
LIBVIRTS = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
DROPPED = (*NOBODY, "--no-new-privs", "--bounding-set=-all")
UUID = "7f5c2c1e-4f0b-4b57-9a0e-6d4c7f7f0a01"
NAME = ("-name", "guest=instance-00000001,debug-threads=on", "-uuid", UUID)
SHELL = ("sh", "-c", "echo up; read line")
SWITCH = ("dpdk-testpmd", "--no-huge", "-m", "64", "--no-pci", "--vdev=net_null0", "--lcores", "0@0,1@0")
FORWARD = ("--", "-i", "--total-num-mbufs=2048")
FILTER = (sys.executable, str(Path(__file__).with_name("confined.py")))


@contextmanager
def started(*command: str, says: bytes) -> Iterator[int]:
    """A process that has said that it is up; its id. It waits on its input and ends with it."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        heard = b""
        while says not in heard:
            more = os.read(process.stdout.fileno(), 4096)
            assert more, f"{command} ended: {heard!r}"
            heard += more
        try:
            yield process.pid
        finally:
            process.kill()


def verdicts() -> Sequence[WorkloadVerdict]:
    """What is said of every workload on this machine."""
    return appraise_posture(decode_posture(collect_posture()), posture_rules(), Profile.BASELINE).workloads


def of(pid: int) -> WorkloadVerdict:
    """What is said of this process."""
    [found] = [verdict for verdict in verdicts() if verdict.workload.pid == pid]
    return found


def below(parent: int) -> WorkloadVerdict:
    """What is said of the one workload among a process's children."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    [found] = [verdict for verdict in verdicts() if str(verdict.workload.pid) in children]
    return found


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The tiers that follow from how a process was started, in the order of the seven parts, by their first letters."""

    command: tuple[str, ...]
    tiers: str


TIERS = {"a": Tier.AFFIRMING, "w": Tier.WARNING, "c": Tier.CONTRAINDICATED}
MACHINES = {
    # identity, mac, seccomp, privileges, namespaces, memory, dma
    "plain": Expected(command=QEMU, tiers="w?ccwaa"),
    "sandbox on": Expected(command=(*QEMU, "-sandbox", "on"), tiers="w?wcwaa"),
    "libvirt's options": Expected(command=(*QEMU, *NAME, "-sandbox", LIBVIRTS), tiers="w?acwaa"),
    "another user": Expected(command=(*DROPPED, *QEMU, "-sandbox", LIBVIRTS), tiers="w?aawaa"),
    "another user, privileges not dropped": Expected(command=(*NOBODY, *QEMU), tiers="w?cwwaa"),
}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_is_judged_by_how_it_was_started(name: str) -> None:
    expected = MACHINES[name]

    with started(*expected.command, says=b"(qemu)") as pid:
        verdict = of(pid)

    said = {part: verdict.vector[part].tier for part in Part if part is not Part.MAC}
    assert said == {part: TIERS[mark] for part, mark in zip(Part, expected.tiers, strict=True) if mark in TIERS}
    assert verdict.vector[Part.MAC].tier is Tier.CONTRAINDICATED, "nothing here confines what a test starts"
    assert verdict.workload.exe == "/usr/bin/qemu-system-x86_64"


def test_what_the_sandbox_leaves_open_is_named() -> None:
    with started(*QEMU, "-sandbox", "on", says=b"(qemu)") as pid:
        verdict = of(pid)

    filters = verdict.vector[Part.SECCOMP]
    assert filters.rules == ("QMP-005",)
    assert "fork, vfork, execve" in filters.witness[0]
    assert "setuid" in filters.witness[0]
    assert "sys_admin" in verdict.vector[Part.PRIVILEGES].witness


def test_a_name_that_only_the_command_line_tells_is_shown_and_not_vouched_for() -> None:
    with started(*QEMU, *NAME, says=b"(qemu)") as pid:
        verdict = of(pid)

    assert (verdict.identity.name, verdict.identity.uuid) == ("instance-00000001", UUID)
    assert verdict.identity.kernel == ()
    assert verdict.vector[Part.IDENTITY].rules == ("QMP-017",)


@pytest.mark.parametrize(("mask", "tier"), [(0o022, Tier.CONTRAINDICATED), (0o077, Tier.AFFIRMING)])
def test_a_guests_memory_in_a_file_that_everybody_reads_is_seen(mask: int, tier: Tier, tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    backend = f"memory-backend-file,id=m,size=64M,mem-path={memory},share=on"
    before = os.umask(mask)
    try:
        with started(*QEMU, "-object", backend, "-machine", "pc,memory-backend=m", says=b"(qemu)") as pid:
            verdict = of(pid)
    finally:
        os.umask(before)

    shared = verdict.vector[Part.MEMORY]
    assert shared.tier is tier
    assert any(str(memory) in witness for witness in shared.witness)
    assert [(file.path, file.bytes) for file in verdict.workload.shared or ()] == [(str(memory), 64 << 20)]


def test_a_bubblewrap_sandbox_is_a_container_with_a_user_namespace_and_no_capabilities() -> None:
    fence = ("bwrap", "--unshare-all", "--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")

    with started(*fence, *SHELL, says=b"up") as pid:
        verdict = below(pid)

    workload, vector = verdict.workload, verdict.vector
    assert workload.kind == "container"
    assert set(workload.private or ()) == {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}
    assert workload.cap_eff == "0000000000000000"
    assert vector[Part.NAMESPACES].tier is Tier.AFFIRMING
    assert vector[Part.SECCOMP].tier is Tier.CONTRAINDICATED
    assert vector[Part.PRIVILEGES].rules == ("LXC-001",), "its only user is root outside"


def test_capabilities_in_a_user_namespace_of_its_own_are_not_held_over_the_host() -> None:
    with started("unshare", "--map-root-user", "--user", "--fork", "--pid", *SHELL, says=b"up") as pid:
        verdict = below(pid)

    workload, vector = verdict.workload, verdict.vector
    assert int(workload.cap_eff or "0", 16) > 1 << 30
    assert set(workload.private or ()) == {"user", "pid"}
    assert vector[Part.PRIVILEGES].rules == ("LXC-001",)
    assert vector[Part.NAMESPACES].rules == ("LXC-005",)
    assert vector[Part.NAMESPACES].witness == ("cgroup", "ipc", "mnt", "net", "uts")


def test_a_packet_switch_without_a_fence_is_seen() -> None:
    with started(*SWITCH, "--file-prefix=open", *FORWARD, says=b"testpmd>") as pid:
        verdict = of(pid)

    vector = verdict.vector
    assert verdict.workload.kind == "switch"
    assert (verdict.workload.threads or 0) > 2
    assert vector[Part.SECCOMP].tier is Tier.CONTRAINDICATED
    assert vector[Part.PRIVILEGES].tier is Tier.WARNING
    assert set(vector[Part.PRIVILEGES].rules) == {"DPK-007", "QMP-003"}
    assert "Uid 0" in vector[Part.PRIVILEGES].witness
    assert vector[Part.DMA].tier is Tier.AFFIRMING


def test_a_packet_switch_with_a_fence_has_only_access_control_left_to_mend() -> None:
    with TemporaryDirectory() as runtime:
        os.chown(runtime, 65534, 65534)
        fence = ("env", f"XDG_RUNTIME_DIR={runtime}", *FILTER, *DROPPED)
        with started(*fence, *SWITCH, "--file-prefix=closed", *FORWARD, says=b"testpmd>") as pid:
            verdict = of(pid)

    assert {part: said.tier for part, said in verdict.vector.items() if said.tier is not Tier.AFFIRMING} == {
        Part.MAC: Tier.CONTRAINDICATED
    }
    assert "Seccomp 2" in verdict.vector[Part.SECCOMP].witness[0]
