"""Which events of a boot stand for its shim, loader, kernel, initramfs and configuration. It judges nothing.

Places are told by what loaders measure (GRUB's commands, names of files and of a unified image's sections) and by the
order of events. An order across PCRs is the log's word alone, so roles serve to foretell the next boot of a machine
whose present boot a person declared good, never to judge one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.boot_text import decode_boot_text
from bartizan.model.boot_facts import MeasuredText
from bartizan.model.boot_log import FILE_PCR, IMAGE_PCR, UKI_PCR, Event, EventType
from bartizan.model.event_data import BootTextKind
from bartizan.model.evidence import VerifiedBoot

CHECK = "image.place"
KERNEL_COMMANDS = ("linux", "linuxefi", "linux16")
INITRD_COMMANDS = ("initrd", "initrdefi", "initrd16")
CONFIGURATION = "grub.cfg"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrubRoles:
    """What GRUB did: its commands that load the kernel and the initramfs, and the files these name, as measured."""

    kernel_path: str
    kernel_file: Event | None
    initrd_files: tuple[Event, ...]
    configuration: Event | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRoles:
    """A boot's parts by their events.

    loaders: images before the kernel or unified image, in order; kernel: the kernel's image, as often as it was
    measured; unified: the unified image's, and sections: what its stub measured; grub: None without GRUB's commands.
    """

    loaders: tuple[Event, ...]
    kernel: tuple[Event, ...]
    unified: tuple[Event, ...]
    sections: tuple[Event, ...]
    grub: GrubRoles | None
    texts: tuple[MeasuredText, ...]


def boot_roles(boot: VerifiedBoot) -> BootRoles:
    """The parts of a boot.

    Raises:
        VerifyError: more than one command loaded a kernel, so that it cannot be told which one runs.
    """
    texts = boot.facts.texts
    kernel_commands = _loads(texts, KERNEL_COMMANDS)
    if len(kernel_commands) > 1:
        raise VerifyError(CHECK, f"one command that loads a kernel expected, found {len(kernel_commands)}")
    images = [event for event in boot.facts.images if event.pcr == IMAGE_PCR]
    sections = tuple(_of_kind(boot.events, UKI_PCR, BootTextKind.UKI_SECTION))
    grub = _grub(boot, kernel_commands[0]) if kernel_commands else None
    unified: tuple[Event, ...] = ()
    if sections:
        unified = _last([event for event in images if event.index < sections[0].index])
        kernel = tuple(event for event in images if event.index > sections[0].index)
    else:
        begun = kernel_commands[0].event if kernel_commands else -1
        kernel = _last([event for event in images if event.index > begun])
    first = min((event.index for event in (*unified, *kernel)), default=None)
    return BootRoles(
        loaders=tuple(event for event in images if first is None or event.index < first),
        kernel=kernel,
        unified=unified,
        sections=sections,
        grub=grub,
        texts=texts,
    )


def _last(images: Sequence[Event]) -> tuple[Event, ...]:
    """The last image, as often as it was measured at the end."""
    found: list[Event] = []
    for event in reversed(images):
        if found and event.digests != found[0].digests:
            break
        found.insert(0, event)
    return tuple(found)


def _loads(texts: Iterable[MeasuredText], commands: tuple[str, ...]) -> list[MeasuredText]:
    """GRUB's commands of these names."""
    return [text for text in texts if text.kind == "grub_cmd" and text.text.partition(" ")[0] in commands]


def _grub(boot: VerifiedBoot, kernel_command: MeasuredText) -> GrubRoles:
    kernel_path = (kernel_command.text.split()[1:] or [""])[0]
    files = [(_text(event), event) for event in _of_kind(boot.events, FILE_PCR, BootTextKind.FILE)]
    by_path = {path: event for path, event in files if event.index > kernel_command.event}
    initrds = [path for command in _loads(boot.facts.texts, INITRD_COMMANDS) for path in command.text.split()[1:]]
    configurations = [event for path, event in files if path.rpartition("/")[2] == CONFIGURATION]
    return GrubRoles(
        kernel_path=kernel_path,
        kernel_file=by_path.get(kernel_path),
        initrd_files=tuple(by_path[path] for path in initrds if path in by_path),
        configuration=configurations[-1] if configurations else None,
    )


def _of_kind(events: Iterable[Event], pcr: int, kind: BootTextKind) -> Iterable[Event]:
    for event in events:
        if event.pcr == pcr and event.reported_type == EventType.IPL and _kind(event) is kind:
            yield event


def _kind(event: Event) -> BootTextKind | None:
    try:
        return decode_boot_text(event.data).kind
    except DecodeError:
        return None


def _text(event: Event) -> str:
    return decode_boot_text(event.data).text
