"""Which kind of violation an entry records, as far as the order of the list tells. It proves nothing about the file.

Source: Linux, ima_rdwr_violation_check() in security/integrity/ima/ima_main.c. *open-writers*: a file was opened to be
measured while someone had it open for writing; the violation is recorded first, then the file is measured all the same.
*ToMToU* (time of measure, time of use): a file was opened for writing while someone who had it measured had it open;
nothing is measured then. The list holds no word on which of the two it was; the kernel's audit log does.

So: never measured under this name before, but after: open-writers. Measured before, and not right after: ToMToU.
Anything else could be either. Limits: a file that was measured before and has not changed is not listed again, so an
open-writers violation of it looks like a ToMToU; names are compared, so a file with several names may be taken for
several files; a writer who comes between a reader's check and its measurement turns a ToMToU into an open-writers.
"""

from collections.abc import Mapping

from bartizan.model.ima import ImaList, ViolationKind


def violation_kinds(ima: ImaList) -> Mapping[int, ViolationKind]:
    """Each violation's index in the list and its kind; one pass over the whole list, pending entries too."""
    last = {entry.path: entry.index for entry in ima.entries if not entry.is_violation}
    seen: set[bytes] = set()
    kinds: dict[int, ViolationKind] = {}
    for entry in ima.entries:
        if not entry.is_violation:
            seen.add(entry.path)
            continue
        kinds[entry.index] = _kind(
            before=entry.path in seen,
            after=last.get(entry.path, -1) > entry.index,
            next_is_it=_measured_at(ima, entry.index + 1) == entry.path,
        )
    return kinds


def violation_kind(ima: ImaList, index: int) -> ViolationKind:
    """The kind of the violation at this index; for all of them take `violation_kinds`, which is one pass.

    Raises:
        KeyError: that entry is not a violation.
    """
    return violation_kinds(ima)[index]


def _measured_at(ima: ImaList, index: int) -> bytes | None:
    if index >= len(ima.entries) or ima.entries[index].is_violation:
        return None
    return ima.entries[index].path


def _kind(*, before: bool, after: bool, next_is_it: bool) -> ViolationKind:
    if after and not before:
        return ViolationKind.OPEN_WRITERS
    if before and not next_is_it:
        return ViolationKind.TOMTOU
    return ViolationKind.UNKNOWN
