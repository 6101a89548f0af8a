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

from bartizan.model.ima import ImaColumns, ImaList, ViolationKind


def violation_kinds(ima: ImaList) -> Mapping[int, ViolationKind]:
    """Each violation's index in the list and its kind; one pass over the whole list, pending entries too."""
    columns = ima.columns
    violations = frozenset(columns.violations)
    if not violations:
        return {}
    named = {columns.paths[place] for place in violations}
    measured = [(place, path) for place, path in enumerate(columns.paths) if path in named and place not in violations]
    last = {path: place for place, path in measured}
    first = {path: place for place, path in reversed(measured)}
    kinds: dict[int, ViolationKind] = {}
    for place in sorted(violations):
        path = columns.paths[place]
        kinds[columns.first + place] = _kind(
            before=first.get(path, place) < place,
            after=last.get(path, place) > place,
            next_is_it=_measured_at(columns, place + 1, violations) == path,
        )
    return kinds


def violation_kind(ima: ImaList, index: int) -> ViolationKind:
    """The kind of the violation at this index; for all of them take `violation_kinds`, which is one pass.

    Raises:
        KeyError: that entry is not a violation.
    """
    return violation_kinds(ima)[index]


def _measured_at(columns: ImaColumns, place: int, violations: frozenset[int]) -> bytes | None:
    return None if place >= len(columns) or place in violations else columns.paths[place]


def _kind(*, before: bool, after: bool, next_is_it: bool) -> ViolationKind:
    if after and not before:
        return ViolationKind.OPEN_WRITERS
    if before and not next_is_it:
        return ViolationKind.TOMTOU
    return ViolationKind.UNKNOWN
