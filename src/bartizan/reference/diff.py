"""Two sets of Reference Values compared, in words. It judges neither."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from bartizan.formats.inert import inert
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet


class Change(Enum):
    """How the second set differs from the first."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference; `what` is a sentence fragment for people, `pcr` 10 stands for files."""

    change: Change
    pcr: int
    what: str


def differences(old: ReferenceSet, new: ReferenceSet) -> tuple[Difference, ...]:
    """What the new set has otherwise than the old one: boot measurements by PCR, then files by path."""
    return (*_events(old, new), *_files(old, new))


def _events(old: ReferenceSet, new: ReferenceSet) -> Iterator[Difference]:
    for pcr in sorted({event.pcr for event in (*old.events, *new.events)}):
        before = [event for event in old.events if event.pcr == pcr]
        after = [event for event in new.events if event.pcr == pcr]
        removed = [event for event in before if not _matched(event, after)]
        added = [event for event in after if not _matched(event, before)]
        yield from _pairs(pcr, removed, added)


def _matched(event: ReferenceEvent, others: list[ReferenceEvent]) -> bool:
    return any(set(event.digests.items()) & set(other.digests.items()) for other in others)


def _pairs(pcr: int, removed: list[ReferenceEvent], added: list[ReferenceEvent]) -> Iterator[Difference]:
    """A removed and an added measurement with one label are one change; texts are shown by their words."""
    for event in list(added):
        twin = next((other for other in removed if _kind(other.label) == _kind(event.label)), None)
        if twin is None:
            yield Difference(change=Change.ADDED, pcr=pcr, what=inert(event.label))
            continue
        removed.remove(twin)
        yield Difference(change=Change.CHANGED, pcr=pcr, what=_words(twin.label, event.label))
    for event in removed:
        yield Difference(change=Change.REMOVED, pcr=pcr, what=inert(event.label))


def _kind(label: str) -> str:
    """What a label is about: the whole of it, or for a command its name."""
    kind, colon, text = label.partition(": ")
    return f"{kind} {text.split(' ', 1)[0]}" if colon and kind in ("grub_cmd", "kernel_cmdline") else label


def _words(old: str, new: str) -> str:
    if old == new:
        return f"{inert(new)}: another digest"
    before, after = old.split(), new.split()
    gone = [word for word in before if word not in after]
    come = [word for word in after if word not in before]
    said = [f"{' '.join(come)} added"] if come else []
    said += [f"{' '.join(gone)} missing"] if gone else []
    return inert(f"{before[0]} {', '.join(said) or 'the same words in another order'}")


def _files(old: ReferenceSet, new: ReferenceSet) -> Iterator[Difference]:
    before, after = _by_path(old), _by_path(new)
    for path in sorted(before.keys() | after.keys()):
        shown = inert(path.decode("utf-8", "surrogateescape"))
        if path not in before:
            yield Difference(change=Change.ADDED, pcr=10, what=shown)
        elif path not in after:
            yield Difference(change=Change.REMOVED, pcr=10, what=f"{shown} (not measured in this boot)")
        elif after[path] - before[path]:
            yield Difference(change=Change.CHANGED, pcr=10, what=f"{shown}: another digest")


def _by_path(some: ReferenceSet) -> dict[bytes, set[tuple[str, bytes]]]:
    found: dict[bytes, set[tuple[str, bytes]]] = {}
    for file in some.files:
        found.setdefault(file.path, set()).add(_value(file))
    return found


def _value(file: ReferenceFile) -> tuple[str, bytes]:
    return file.alg, file.digest
