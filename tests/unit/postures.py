"""Postures of machines of the simulator, as their agent would send them. Not a test."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bartizan.app.attest_node import Outcome
from bartizan.app.defaults import default_policy
from bartizan.appraise.context import index_reference
from bartizan.collect.posture.document import collect_posture
from bartizan.model.evidence import ReportedEvidence
from bartizan.model.policy import Policy
from tests.simulator.machine import CHALLENGE, Machine, attested, good, reference_set
from tests.unit.ima_lists import Line, buf
from tests.unit.posture_hosts import tree

COMMAND_LINE = (
    "BOOT_IMAGE=/vmlinuz console=ttyS0 quiet ima_policy=tcb ima_template=ima-ng ima_hash=sha256"
    " verifier=http://10.0.2.2:18080\n"
)
"""What the good machine of the simulator was measured to boot with, as its kernel tells it."""
BOUND = replace(CHALLENGE, binds_posture=True)
PATHS = {"/proc/cmdline": COMMAND_LINE}
RUNNING = ("/proc/41", "/proc/42", "/proc/43", "/proc/44")
"""The workloads of the hardened hosts."""


def posture(host: str = "hardened_apparmor", **edit: object) -> bytes:
    """The posture of a hardened host that booted as the good machine did, with an edit of `cases.toml`'s form."""
    made = tree(host).change({"files": PATHS}).change(edit)
    with TemporaryDirectory() as root:
        return collect_posture(made.write(Path(root)))


@cache
def hardened(host: str = "hardened_apparmor") -> bytes:
    return posture(host)


LYING = posture(files={"/proc/cmdline": COMMAND_LINE.replace(" quiet", "")})
"""A posture that says another command line than the one that was measured."""


def state(enforcing: int, *, initialized: int = 1) -> Line:
    """What the kernel measures of SELinux's switches."""
    return buf(b"selinux-state", b"initialized=%d;enforcing=%d;checkreqprot=0;" % (initialized, enforcing))


def judged_with(
    raw: bytes | None, *lines: Line, machine: Machine | None = None, policy: Policy | None = None, bound: bool = True
) -> Outcome:
    """The good machine, all of whose files are known, with this posture and these further IMA entries."""
    ran = (machine or good()).running(*lines)
    evidence: ReportedEvidence = replace(ran.evidence(), posture=raw)
    known = index_reference(reference_set(ran))
    challenge = BOUND if bound else CHALLENGE
    return attested(evidence, challenge=challenge, known=known, policy=policy or default_policy())
