"""The good machine, from which another kernel is started: what IMA measures then, and a policy. Not a test."""

from bartizan.app.defaults import catalogue
from bartizan.appraise.catalogue import load_policy
from bartizan.model.boot_log import FILE_PCR
from bartizan.model.digest import HashAlg
from bartizan.model.policy import Policy
from bartizan.model.result import AttestationResult, Finding
from tests.simulator.machine import Machine, file_line, good, reference
from tests.unit.ima_lists import Line, buf, d_ng

OPTIONS = "console=ttyS0 quiet ima_policy=tcb ima_template=ima-ng ima_hash=sha256 verifier=http://10.0.2.2:18080"
"""What the good machine's kernel was started with, without its file."""
IMA_POLICY = """# ours
measure func=KEXEC_KERNEL_CHECK
measure func=KEXEC_INITRAMFS_CHECK
measure func=KEXEC_CMDLINE
dont_measure fsmagic=0x1021994
measure func=BPRM_CHECK mask=MAY_EXEC
measure func=FILE_MMAP mask=MAY_EXEC
measure func=MODULE_CHECK
"""
KEXEC = f"[[kexec]]\nname = 'ours'\nima_policy = '''\n{IMA_POLICY}'''\n"
DOCUMENT = "name = 'with kexec'\nsbat_minimum = { shim = 2, grub = 3 }\n" + KEXEC


def policy(text: str = DOCUMENT) -> Policy:
    """The policy by which a measured kexec counts."""
    return load_policy(text, catalogue(), source="mine.toml")


def _loaded(path: str) -> bytes:
    """The SHA-256 of a file that the good machine's GRUB loaded."""
    [event] = [event for event in reference().by_pcr[FILE_PCR] if event.label == f"file: {path}"]
    return event.digests[HashAlg.SHA256]


def _line(path: bytes, digest: bytes) -> Line:
    return Line("ima-ng", (d_ng(digest), path + b"\0"), b"")


RULE = file_line(b"/etc/ima/ima-policy", IMA_POLICY.encode())
KERNEL = _line(b"/boot/vmlinuz-6.1", _loaded("/vmlinuz"))
INITRAMFS = _line(b"/boot/initrd.img-6.1", _loaded("/initrd.img"))
COMMAND_LINE = buf(b"kexec-cmdline", f"BOOT_IMAGE=/vmlinuz {OPTIONS}".encode())
LOADED = (RULE, KERNEL, INITRAMFS, COMMAND_LINE)
FIRST = len(good().lines) + 1
"""The index of the first entry behind the recorded ones."""


def line(text: str) -> Line:
    """A command line of a kexec, as the kernel measures it."""
    return buf(b"kexec-cmdline", text.encode())


def without(*gone: Line) -> tuple[Line, ...]:
    """What is measured for a kexec but these entries."""
    return tuple(entry for entry in LOADED if entry not in gone)


def restarted(*loaded: Line, machine: Machine | None = None) -> Machine:
    """The machine after a kexec for which these entries were measured."""
    started = machine or good()
    return started.running(*(loaded or LOADED), started.start)


def kexecs(result: AttestationResult) -> list[Finding]:
    """What is said of each kernel."""
    return [finding for finding in result.findings if finding.id == "ima.kexec"]
