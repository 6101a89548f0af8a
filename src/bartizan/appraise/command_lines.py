"""Kernel command lines in an appraisal: those of the boot, what they turn on, and which of a kexec are known."""

import re

from bartizan.appraise.context import LINE_LABEL, Context
from bartizan.formats.kernel_cmdline import kernel_words
from bartizan.model.boot_facts import MeasuredText

LINE = LINE_LABEL.removesuffix(": ")
MEASURING_POLICIES = frozenset({"tcb"})
"""Values of ima_policy= that measure every executed and mapped file and what root reads (kernel, ima_policy.c)."""
POLICY_PARAMETER = "ima_policy="
LOCKDOWN = frozenset({"lockdown=integrity", "lockdown=confidentiality"})
"""Both deny kexec_load(2); Linux security/lockdown/lockdown.c. No parameter unlocks a kernel again."""
KERNEL_FILE = re.compile(r"(?:BOOT_IMAGE=)?(?:\([A-Za-z0-9,._/+-]{1,64}\))?/[A-Za-z0-9._/+~@-]{0,255}")
"""The path of the kernel's file, as the first word: GRUB measures it, and hands it on with its own word before it.

Nothing but what paths of kernels have: a tab, a no-break space or a quote would end the word elsewhere for the kernel
than it does here, and an apostrophe or a backslash does for programs that read /proc/cmdline.
"""


def measures_all(command_line: str) -> bool:
    """It selects a built-in IMA policy that measures whatever is executed."""
    chosen: set[str] = set()
    for word in kernel_words(command_line):
        if word == "ima_tcb":
            chosen.add("tcb")
        elif word.startswith(POLICY_PARAMETER):
            value = word.removeprefix(POLICY_PARAMETER)
            unquoted = value[1:].removesuffix('"') if value.startswith('"') else value
            chosen.update(re.split(r"[ |\n]", unquoted))
    return bool(chosen & MEASURING_POLICIES)


def locks_down(command_line: str) -> bool:
    """It closes the kernel to root, whatever the kernel does by itself."""
    return not LOCKDOWN.isdisjoint(kernel_words(command_line))


def booted_with(context: Context) -> list[MeasuredText]:
    """The kernel command lines of this boot.

    That a text is a command line stands in no digest, only in its label. So what the Reference Values know is what they
    say it is, whatever this log calls it. A text that they do not know counts as the log calls it: it breaks level 3,
    unless a dynamic launch makes level 3 rest on other PCRs; then it says nothing.
    """
    boot, reference = context.evidence.boot, context.reference
    if reference is None:
        return list(boot.facts.command_lines)
    texts = {(text.pcr, text.event): text for text in boot.facts.texts}
    lines: list[MeasuredText] = []
    for event in boot.events:
        known = reference.events.get((event.pcr, context.bank, event.digests[context.bank]))
        text = texts.get((event.pcr, event.index))
        if known is None:
            lines += [text] if text and text.kind == LINE and not boot.launched else []
        elif known.label.startswith(LINE_LABEL):
            said = text.text if text else known.label.removeprefix(LINE_LABEL)
            lines.append(MeasuredText(event=event.index, pcr=event.pcr, kind=LINE, text=said))
    return lines


def is_known_line(context: Context, text: str) -> bool:
    """A kernel was loaded for kexec with the command line of a known boot, to the letter.

    Known is what the Reference Values name by a label that is itself what their digest covers.
    """
    lines = () if context.reference is None else context.reference.lines
    return any(
        _options(line) == _options(text)
        for line, event in ((event.label.removeprefix(LINE_LABEL), event) for event in lines)
        if event.digests.get(context.bank) == context.bank.digest(line.encode("utf-8", "surrogatepass"))
    )


def _options(command_line: str) -> str:
    """A command line without the kernel's file: it names what was loaded, and turns nothing on."""
    line = command_line.strip(" ")
    first, _, rest = line.partition(" ")
    return rest.strip(" ") if KERNEL_FILE.fullmatch(first) else line
