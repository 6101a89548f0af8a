"""What stands in the next boot where a changed component stands in the present one: event by event, PCR by PCR.

PCR 4 takes images by their Authenticode digest, as often as now; PCR 9 whole files; PCR 8 GRUB's commands and the
command line; PCR 11 and 12 what systemd-stub measures. Events that no new component touches are not its business.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from bartizan.errors import VerifyError
from bartizan.formats.boot_text import decode_boot_text
from bartizan.formats.inert import inert
from bartizan.formats.uki import command_line_data
from bartizan.model.boot_facts import MeasuredText
from bartizan.model.boot_log import Event
from bartizan.model.digest import SIZES, HashAlg
from bartizan.model.evidence import VerifiedBoot
from bartizan.model.image import BootImage
from bartizan.model.reference import ReferenceEvent
from bartizan.reference.components import Components, Digests, UnifiedImage
from bartizan.reference.propose import MAX_LABEL
from bartizan.reference.vetting import Vetting
from bartizan.verify.boot_roles import CHECK, KERNEL_COMMANDS, BootRoles, boot_roles

RELEASE_MARKS = ("vmlinuz-", "vmlinux-", "kernel-", "linux-")
"""What stands before the release in a kernel's file name."""
MENU_COMMANDS = ("menuentry", "submenu")

Replaced = dict[int, ReferenceEvent | None]
"""Event of the present boot to what will stand in its place; None: nothing will."""


def next_boot(boot: VerifiedBoot, new: Components, vetting: Vetting) -> tuple[Replaced, tuple[ReferenceEvent, ...]]:
    """What the components replace, and what they add at the end of PCR 11.

    Raises:
        VerifyError: a component has no place in the present boot, or an image may not run.
    """
    scene = _Scene(boot=boot, roles=boot_roles(boot), new=new, vetting=vetting)
    found: Replaced = {}
    for parts in (_images, _files, _texts):
        found.update(parts(scene))
    if new.unified is None:
        return found, ()
    found.update(_unified_images(scene, new.unified))
    sections, added = _sections(scene, new.unified)
    return found | sections, added


Part = tuple[int, ReferenceEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What each kind of replacement looks at."""

    boot: VerifiedBoot
    roles: BootRoles
    new: Components
    vetting: Vetting

    @property
    def predicted(self) -> str:
        return f"predicted from {self.new.source}"

    def vetted(self, what: str, image: BootImage) -> str:
        """The provenance of an image that may run."""
        return f"{what}, {self.vetting.words(image)}, {self.predicted}"

    def rename(self) -> Callable[[str], str]:
        """Puts the new kernel's release where the present one's stands in a text."""
        before = _release(self.roles)
        after = self.new.kernel.release if self.new.kernel is not None else ""
        return (lambda text: text.replace(before, after)) if before and after else str


def _in_place(event: Event, digests: Digests, *, label: str, provenance: str) -> Part:
    """A value in the place of this event, in the banks that a set keeps of it."""
    kept: Digests = {HashAlg(alg): digests[HashAlg(alg)] for alg in event.digests if alg in digests}
    strong: Digests = {alg: digest for alg, digest in kept.items() if alg != HashAlg.SHA1} or kept
    if not strong:
        raise VerifyError(CHECK, f"event {event.index} is in no bank that can be foretold")
    shown = inert(label, limit=MAX_LABEL)
    return event.index, ReferenceEvent(pcr=event.pcr, digests=strong, label=shown, provenance=provenance)


def _hashed(event: Event, data: bytes) -> Digests:
    return {HashAlg(alg): HashAlg(alg).digest(data) for alg in event.digests if alg in SIZES}


def _placed(events: Iterable[Event | None], what: str) -> tuple[Event, ...]:
    found = tuple(event for event in events if event is not None)
    if not found:
        raise VerifyError(CHECK, f"the present boot measured no {what} that a new one could replace")
    return found


def _kernel_name(image: BootImage) -> str:
    return f"kernel {image.release}".rstrip()


def _images(scene: _Scene) -> Iterator[Part]:
    """PCR 4: shim, loader and kernel; PFP 1.06, 3.3.4.5. Without Secure Boot GRUB's kernel is not measured there."""
    roles, new = scene.roles, scene.new
    places: list[tuple[str, BootImage | None, tuple[Event, ...]]] = [
        ("shim", new.shim, roles.loaders[:1]),
        ("loader", new.loader, roles.loaders[1:2]),
        (_kernel_name(new.kernel) if new.kernel is not None else "", new.kernel, roles.kernel),
    ]
    for label, image, events in places:
        if image is None:
            continue
        provenance = scene.vetted(label, image)
        elsewhere = roles.grub is not None and image is new.kernel and not scene.vetting.demanded
        for event in events if elsewhere else _placed(events, label):
            yield _in_place(event, image.authenticode, label=label, provenance=provenance)


def _files(scene: _Scene) -> Iterator[Part]:
    """PCR 9: files that GRUB reads, by the digest of their bytes."""
    grub, new = scene.roles.grub, scene.new
    given = "as given with the prediction"
    places: list[tuple[str, Digests, Event]] = []
    if new.kernel is not None and grub is not None:
        place = _placed([grub.kernel_file], "kernel file in PCR 9")[0]
        places.append((f"the file of {_kernel_name(new.kernel)}, {scene.predicted}", new.kernel.flat, place))
    if new.initrds:
        files = grub.initrd_files if grub is not None else ()
        if len(files) != len(new.initrds):
            raise VerifyError(CHECK, f"the present boot measured {len(files)} initramfs files, not {len(new.initrds)}")
        places += [(f"initramfs, {given}", digests, event) for digests, event in zip(new.initrds, files, strict=True)]
    if new.configuration is not None:
        place = _placed([grub.configuration if grub is not None else None], "grub.cfg in PCR 9")[0]
        places.append((f"grub.cfg, {given}", new.configuration.digests, place))
    rename = scene.rename()
    for provenance, digests, event in places:
        label = f"file: {rename(decode_boot_text(event.data).text)}"
        yield _in_place(event, digests, label=label, provenance=provenance)


def _texts(scene: _Scene) -> Iterator[Part]:
    """PCR 8 and 12: commands that name the kernel's release, the menu, and the command line."""
    rename, line, menu = scene.rename(), _command_line(scene), _menu(scene)
    events = {event.index: event for event in scene.boot.events}
    for text in scene.roles.texts:
        changed = menu.get(_identity(text.text), rename(text.text))
        if line is not None:
            changed = _with_command_line(changed, text, line, by_grub=scene.roles.grub is not None)
        if changed != text.text:
            event = events[text.event]
            digests = _hashed(event, _measured_as(event, changed, text))
            yield _in_place(event, digests, label=f"{text.kind}: {changed}", provenance=scene.predicted)


def _release(roles: BootRoles) -> str:
    """The present kernel's release, as its file's name says; empty where the name says none."""
    name = roles.grub.kernel_path.rpartition("/")[2] if roles.grub is not None else ""
    mark = next((mark for mark in RELEASE_MARKS if name.startswith(mark)), None)
    return name.removeprefix(mark) if mark is not None else ""


def _command_line(scene: _Scene) -> str | None:
    """The next command line: as given, else as the new grub.cfg has it for the kernel that will be loaded."""
    new, grub = scene.new, scene.roles.grub
    if new.command_line is not None or new.configuration is None or grub is None:
        return new.command_line
    path = scene.rename()(grub.kernel_path)
    lines = [line for line in new.configuration.content.kernels if path.endswith(line.path)]
    if new.configuration.content.kernels and not lines:
        raise VerifyError(CHECK, f"the new grub.cfg does not load {path}")
    return lines[0].arguments if lines and "$" not in lines[0].arguments else None


def _menu(scene: _Scene) -> dict[str, str]:
    """The new menu's commands, by what tells them apart."""
    configuration = scene.new.configuration
    return {f"--id {c.identity}": c.text for c in configuration.content.menu} if configuration is not None else {}


def _identity(command: str) -> str:
    """What tells a menu's command from others; nothing for another command."""
    words = command.partition("{")[0].split()
    if not words or words[0] not in MENU_COMMANDS or "--id" not in words:
        return ""
    return " ".join(words[words.index("--id") :][:2])


def _with_command_line(text: str, measured: MeasuredText, line: str, *, by_grub: bool) -> str:
    """The text with these parameters, where it is the kernel's command line or the command that sets it."""
    if measured.kind == "kernel_cmdline":
        return " ".join([text.partition(" ")[0], line]) if by_grub else line
    is_load = measured.kind == "grub_cmd" and text.partition(" ")[0] in KERNEL_COMMANDS
    return " ".join([*text.split()[:2], line]) if is_load else text


def _measured_as(event: Event, text: str, present: MeasuredText) -> bytes:
    """The bytes that a text is hashed as, in the form in which the present one was."""
    alg = next(HashAlg(some) for some in event.digests if some in SIZES)
    for form in (_utf8, _terminated, command_line_data, _bare_utf16):
        if event.digests[alg] == alg.digest(form(present.text)):
            return form(text)
    raise VerifyError(CHECK, f"event {event.index}: its text is measured in a form that is not known")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _terminated(text: str) -> bytes:
    return _utf8(text) + b"\0"


def _bare_utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _unified_images(scene: _Scene, new: UnifiedImage) -> Iterator[Part]:
    """PCR 4: a unified image, and the kernel inside it where firmware loads that too."""
    name = f"unified image of {_kernel_name(new.kernel)}" if new.kernel is not None else "unified kernel image"
    provenance = scene.vetted(name, new.image)
    for event in _placed(scene.roles.unified, "unified kernel image"):
        yield _in_place(event, new.image.authenticode, label=name, provenance=provenance)
    if new.kernel is not None:
        for event in scene.roles.kernel:
            label = f"{_kernel_name(new.kernel)} inside the unified image"
            yield _in_place(event, new.kernel.authenticode, label=label, provenance=provenance)


def _sections(scene: _Scene, new: UnifiedImage) -> tuple[Replaced, tuple[ReferenceEvent, ...]]:
    """PCR 11: the new image's sections in the places of the present one's, and those that are more."""
    present = scene.roles.sections
    found: Replaced = {event.index: None for event in present}
    values = [
        _in_place(event, _hashed(event, part.data), label=part.label, provenance=scene.predicted)
        for part, event in zip(new.measured, chain(present, repeat(present[-1])), strict=False)
    ]
    found.update(values[: len(present)])
    return found, tuple(value for _, value in values[len(present) :])
