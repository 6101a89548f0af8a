"""Facts from an IMA list beside files: keys, kexec, SELinux. Only what PCR 10 vouches for counts; it judges nothing.

A kernel started by kexec is recognised through the command lines that were measured when kernels were loaded (func
KEXEC_CMDLINE), and through its kernel and initramfs, which are entries like any file's (KEXEC_KERNEL_CHECK and
KEXEC_INITRAMFS_CHECK): the list does not say which, so whoever judges must know every one of them.
"""

from bisect import bisect_left
from itertools import pairwise

from bartizan.formats.ima_buffer import KEXEC_COMMAND_LINE, decode_buffer, is_buffer_template
from bartizan.model.evidence import VerifiedIma
from bartizan.model.ima import ImaColumns
from bartizan.model.ima_buffer import (
    BufferFacts,
    KexecCommandLine,
    KexecStart,
    Keyring,
    MeasuredBuffer,
    SelinuxPolicy,
    SelinuxState,
)
from bartizan.verify.ima_start import starts_in


def buffer_facts(ima: VerifiedIma) -> BufferFacts:
    """What the list's vouched part says; nothing where PCR 10 vouches for no part of it."""
    columns = ima.list.columns[: ima.matched or 0]
    found = _buffers(columns)
    loads = tuple(each for each in found if _is_kexec(each))
    known = (Keyring, SelinuxState, SelinuxPolicy)
    return BufferFacts(
        keys=tuple(each for each in found if isinstance(each.buffer, Keyring)),
        kexec_loads=loads,
        kexec_starts=tuple(_start(since, start, loads) for since, start in pairwise(starts_in(columns))),
        selinux_states=tuple(each for each in found if isinstance(each.buffer, SelinuxState)),
        selinux_policies=tuple(each for each in found if isinstance(each.buffer, SelinuxPolicy)),
        others=tuple(each for each in found if not isinstance(each.buffer, known) and not _is_kexec(each)),
    )


def _buffers(columns: ImaColumns) -> tuple[MeasuredBuffer, ...]:
    """Every entry that holds a buffer; others are not made objects."""
    templates = {template for template in set(columns.templates) if is_buffer_template(template)}
    if not templates and KEXEC_COMMAND_LINE not in columns.paths:
        return ()
    found = []
    for place, (template, path) in enumerate(zip(columns.templates, columns.paths, strict=True)):
        if template in templates or path == KEXEC_COMMAND_LINE:
            entry = columns[place]
            buffer = decode_buffer(entry)
            if buffer is not None:
                found.append(MeasuredBuffer(entry=entry.index, buffer=buffer))
    return tuple(found)


def _is_kexec(measured: MeasuredBuffer) -> bool:
    """A command line that was loaded, readable or not."""
    buffer = measured.buffer
    return isinstance(buffer, KexecCommandLine) or getattr(buffer, "name", "") == KEXEC_COMMAND_LINE.decode("ascii")


def _start(since: int, start: int, loads: tuple[MeasuredBuffer, ...]) -> KexecStart:
    first, end = (bisect_left(loads, place, key=lambda load: load.entry) for place in (since, start))
    return KexecStart(since=since, boot_aggregate=start, loads=loads[first:end])
