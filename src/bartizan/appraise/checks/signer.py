"""Acceptance of a new kernel by its signer: an explicit line of the policy, and only where Secure Boot enforced it.

A recognised shim lets nothing run that no authority vouches for, and each authority it used is measured in PCR 7. So an
unknown image that runs after a recognised loader was signed by one of these; if the policy accepts every one of them
(or it is a Reference Value), the image is accepted. Digests and their order within one PCR are proved, labels are not:
an event of PCR 7 that proves nothing may be an authority under another name, and what PCR 4 holds before the new kernel
must be, one by one, what the Reference Values hold before theirs.
"""

from dataclasses import dataclass
from itertools import takewhile

from bartizan.appraise.checks.secure_boot import unnamed
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.model.boot_log import FILE_PCR, IMAGE_PCR, Event

KERNEL_COMMANDS = ("linux ", "linuxefi ", "linux16 ")
INITRD_COMMANDS = ("initrd ", "initrdefi ", "initrd16 ")
RECOGNISED_BEFORE = 2
"""Images that must be recognised first: the shim, and the loader that asks it to verify the kernel."""
BOOT_ATTEMPTS = (
    b"Calling EFI Application from Boot Option",
    b"Returning from EFI Application from Boot Option",
    b"BOOT ATTEMPTS OMITTED",
)
"""What firmware measures into PCR 4 that is no image; PFP 1.06, 10.4.4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerRule:
    """Which events of this boot the policy's signers vouch for, and the names of those signers."""

    images: frozenset[int]
    kernel_file: int | None
    names: str

    @classmethod
    def of(cls, context: Context) -> "SignerRule":
        """The rule for one boot; it accepts nothing unless every authority used is an accepted one."""
        names = _accepted_names(context)
        if not names or context.reference is None:
            return cls(images=frozenset(), kernel_file=None, names="")
        images = _new_kernel(context, context.reference)
        return cls(images=images, kernel_file=_kernel_file(context) if images else None, names=names)

    def accepts(self, event: Event) -> str | None:
        """The sentence that says why this event is accepted, or None."""
        if event.pcr == IMAGE_PCR and event.index in self.images:
            return (
                "a kernel that is no Reference Value, accepted by signer: Secure Boot was on, the loaders before it"
                f" are recognised, and only accepted authorities let code run ({self.names})"
            )
        if event.index == self.kernel_file and event.pcr == FILE_PCR:
            return f"the file of the kernel that was accepted by signer ({self.names})"
        return None


def _accepted_names(context: Context) -> str:
    """The accepted signers that were used, or nothing when one authority is neither accepted nor a Reference Value."""
    facts, reference = context.evidence.boot.facts, context.reference
    enforced = facts.secure_boot is True and not facts.shim_validation_off
    if not enforced or not context.policy.signers or reference is None:
        return ""
    by_fingerprint = {signer.fingerprint: signer.name for signer in context.policy.signers}
    fingerprints = {authority.event: authority.fingerprint for authority in facts.authorities}
    nameless = {event.index for event in unnamed(context)}
    used: list[str] = []
    for event in context.measured(7):
        name = by_fingerprint.get(fingerprints.get(event.index) or b"")
        if name is not None:
            used.append(name)
        elif (event.index in fingerprints or event.index in nameless) and not context.knows(event):
            return ""
    return ", ".join(dict.fromkeys(used))


def _new_kernel(context: Context, reference: ReferenceIndex) -> frozenset[int]:
    """The measurements of the one image that stands where some set of Reference Values has its kernel."""
    events = [event for event in context.measured(4) if not context.is_separator(event)]
    found = [event.digests[context.bank] for event in events]
    same = max((_before_kernel(context, found, known) for known in reference.sequences(4, context.bank)), default=0)
    return frozenset(event.index for event in events[same:]) if same else frozenset()


def _before_kernel(context: Context, found: list[bytes], expected: list[bytes | None]) -> int:
    """How many measurements stand before the kernel, 0 when it has not the kernel's place.

    All before it is known and in the known order, at least two images; after it nothing else ran, here or there.
    """
    same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(found, expected, strict=False))))
    attempts = {context.bank.digest(text) for text in BOOT_ATTEMPTS}
    if len(set(found[:same]) - attempts) < RECOGNISED_BEFORE:
        return 0
    return same if len(set(found[same:])) == 1 and len(set(expected[same:])) == 1 else 0


def _kernel_file(context: Context) -> int | None:
    """The PCR 9 event of the kernel's file: its place is told by GRUB's measured commands, not by its label alone.

    The last files of PCR 9 must be those that the measured linux and initrd commands name, in that order.
    """
    commands = [text.text for text in context.evidence.boot.facts.texts if text.kind == "grub_cmd"]
    loads = [c for c in commands if c.startswith(KERNEL_COMMANDS + INITRD_COMMANDS)]
    paths = [path for command in loads for path in _paths(command)]
    files = context.measured(9)[-len(paths) :] if paths else ()
    kernels = [command for command in loads if command.startswith(KERNEL_COMMANDS)]
    if len(kernels) != 1 or not loads[0].startswith(KERNEL_COMMANDS) or len(files) != len(paths):
        return None
    labels = [file.data.rstrip(b"\0").decode("utf-8", "surrogateescape") for file in files]
    return files[0].index if labels == paths else None


def _paths(command: str) -> list[str]:
    words = command.split()[1:]
    return words[:1] if command.startswith(KERNEL_COMMANDS) else words
