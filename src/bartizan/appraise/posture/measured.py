"""The node's word held against what PCRs vouch for: command line, Secure Boot, SELinux's state and policy.

A node that says better of itself than what was measured lies; one that says worse may have changed in between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bartizan.formats.inert import inert
from bartizan.formats.kernel_cmdline import parse_cmdline
from bartizan.model.digest import SIZES, HashAlg
from bartizan.model.evidence import VerifiedEvidence
from bartizan.model.ima_buffer import MeasuredBuffer, SelinuxPolicy, SelinuxState
from bartizan.model.posture import Measured, ReportedPosture
from bartizan.model.result import NOWHERE, Pointer
from bartizan.verify.ima_buffers import buffer_facts
from bartizan.verify.ima_start import starts_in

CMDLINE = "/proc/cmdline"
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
ENFORCE = "/sys/fs/selinux/enforce"
POLICY = "/sys/fs/selinux/policy"
LOADERS = frozenset({"BOOT_IMAGE", "initrd"})
"""Parameters that a boot loader adds to what it measures or leaves out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What became of one comparison; flatters: the node says better of itself than what was measured."""

    subject: Measured
    agrees: bool
    why: str = ""
    flatters: bool = False
    at: Pointer = NOWHERE


def compare(evidence: VerifiedEvidence, posture: ReportedPosture) -> Iterator[Comparison]:
    """Everything that both were measured and reported."""
    yield from _command_line(evidence, posture)
    yield from _secure_boot(evidence, posture)
    if evidence.ima is not None:
        facts = buffer_facts(evidence.ima)
        yield from _state(present(facts.selinux_states), posture)
        yield from _policy(facts.selinux_policies, posture)


def present(states: Sequence[MeasuredBuffer]) -> list[tuple[SelinuxState, int]]:
    """SELinux's states with their entries."""
    return [(one.buffer, one.entry) for one in states if isinstance(one.buffer, SelinuxState)]


def _value(posture: ReportedPosture, path: str) -> str | None:
    reading = posture.files.get(path)
    return None if reading is None or reading.value is None else reading.value.strip()


def _command_line(evidence: VerifiedEvidence, posture: ReportedPosture) -> Iterator[Comparison]:
    """One line was measured, and no other kernel started since."""
    said, measured = _value(posture, CMDLINE), evidence.boot.facts.command_lines
    restarted = evidence.ima is not None and len(starts_in(evidence.ima.list.columns)) > 1
    if said is None or len(measured) != 1 or restarted:
        return
    own, theirs = _parameters(said), _parameters(measured[0].text)
    hidden, added = sorted(theirs - own), sorted(own - theirs)
    at = Pointer(pcr=measured[0].pcr, event=measured[0].event)
    if not hidden and not added:
        yield Comparison(subject=Measured.COMMAND_LINE, agrees=True)
        return
    words = [f"measured and not reported: {_shown(hidden)}"] if hidden else []
    words += [f"reported and not measured: {_shown(added)}"] if added else []
    why = f"the command line that the node reports is not the measured one ({'; '.join(words)})"
    yield Comparison(subject=Measured.COMMAND_LINE, agrees=False, why=why, flatters=bool(hidden), at=at)


def _parameters(text: str) -> set[tuple[str, tuple[str, ...]]]:
    """The parameters, without what names the kernel's file or an initramfs."""
    given = parse_cmdline(text)
    return {
        (name, values)
        for name, values in given.items()
        if name not in LOADERS and not (name.startswith(("/", "(")) and values == ("",))
    }


def _shown(parameters: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    words = [f"{name}={value}" if value else name for name, values in parameters for value in values]
    return inert(" ".join(words), limit=120)


def _secure_boot(evidence: VerifiedEvidence, posture: ReportedPosture) -> Iterator[Comparison]:
    reading, measured = posture.files.get(SECURE_BOOT), evidence.boot.facts.secure_boot
    if reading is None or not reading.value or measured is None:
        return
    said = reading.value.endswith("\x01")
    if said is measured:
        yield Comparison(subject=Measured.SECURE_BOOT, agrees=True)
    else:
        why = f"the node reports Secure Boot {_switch(said)}, measured was {_switch(measured)}"
        at = Pointer(pcr=7, event=evidence.boot.facts.secure_boot_event)
        yield Comparison(subject=Measured.SECURE_BOOT, agrees=False, why=why, flatters=said, at=at)


def _switch(value: bool) -> str:
    return "on" if value else "off"


def _state(states: Sequence[tuple[SelinuxState, int]], posture: ReportedPosture) -> Iterator[Comparison]:
    """Whether SELinux is enforcing."""
    said = _value(posture, ENFORCE)
    if said is None or not states:
        return
    state, entry = states[-1]
    if (said == "1") is state.enforcing:
        yield Comparison(subject=Measured.SELINUX_STATE, agrees=True)
    else:
        words = ("enforcing", "not enforcing") if said == "1" else ("not enforcing", "enforcing")
        why = f"the node reports that SELinux is {words[0]}, measured was {words[1]}"
        at = Pointer(pcr=10, entry=entry)
        yield Comparison(subject=Measured.SELINUX_STATE, agrees=False, why=why, flatters=said == "1", at=at)


def _policy(policies: Sequence[MeasuredBuffer], posture: ReportedPosture) -> Iterator[Comparison]:
    """Whether the loaded policy is the measured one, in the algorithm that was measured."""
    text = _value(posture, POLICY)
    measured = [(one.buffer.digest, one.entry) for one in policies if isinstance(one.buffer, SelinuxPolicy)]
    if text is None or not measured:
        return
    digests = dict(line.partition(" ")[::2] for line in text.splitlines())
    digest, entry = measured[-1]
    label = next((HashAlg(alg).label for alg, size in SIZES.items() if size == len(digest)), "")
    said = digests.get(label)
    if said is None:
        return
    if said == digest.hex():
        yield Comparison(subject=Measured.SELINUX_POLICY, agrees=True)
        return
    stale = any(said == earlier.hex() for earlier, _ in measured[:-1])
    why = "the node reports a SELinux policy that " + (
        "was replaced since" if stale else "was never measured: another one is loaded"
    )
    at = Pointer(pcr=10, entry=entry)
    yield Comparison(subject=Measured.SELINUX_POLICY, agrees=False, why=why, flatters=not stale, at=at)
