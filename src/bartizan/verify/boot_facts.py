"""Facts from explained events: Secure Boot, authorities, revocations, command lines. It judges nothing.

An event's data is believed only where its digest is computed again from it (PFP 1.06, 10.4).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from bartizan.errors import DecodeError
from bartizan.formats.boot_text import decode_command
from bartizan.formats.sbat import decode_sbat
from bartizan.formats.signature_list import certificates, decode_authority, decode_signature_lists, image_digests
from bartizan.formats.uefi import SHIM_SLACK, decode_variable
from bartizan.model.boot_facts import Authority, BootFacts, MeasuredText
from bartizan.model.boot_log import COMMAND_PCR, IPL, POLICY_PCR, BootLog, Event, EventType
from bartizan.model.digest import CONSTRUCTORS, HashAlg
from bartizan.model.event_data import BootTextKind
from bartizan.model.uefi import SignatureKind, SignatureList, Variable
from bartizan.verify.boot_source import boot_source
from bartizan.verify.replay import startup_locality

IMAGE_TYPES = frozenset(
    {
        EventType.EFI_BOOT_SERVICES_APPLICATION,
        EventType.EFI_BOOT_SERVICES_DRIVER,
        EventType.EFI_RUNTIME_SERVICES_DRIVER,
    }
)
COMMANDS = {
    BootTextKind.GRUB_COMMAND: "grub_cmd",
    BootTextKind.KERNEL_COMMAND_LINE: "kernel_cmdline",
    BootTextKind.MODULE_COMMAND_LINE: "module_cmdline",
}
"""What GRUB measures into PCR 8, by the names that upstream gives it."""
UTF16_COMMAND_PCRS = frozenset({8, 12})
"""Where systemd-boot and its stub measure the kernel command line, as UTF-16."""
SHIM_STATE = "MokSBState"
FIRST_STEP_TYPES = frozenset(
    {EventType.S_CRTM_CONTENTS, EventType.EFI_HCRTM_EVENT, EventType.TXT_KM_HASH, EventType.TXT_BPM_HASH}
)


def extract_facts(
    log: BootLog | None, events: Iterable[Event], bank: HashAlg, *, untrusted_command_line: str | None = None
) -> BootFacts:
    """What these explained events prove, seen through the pinned bank.

    untrusted_command_line: a guess at the kernel's command line, for events that measure it without showing it.
    """
    proved = tuple(events)
    policy = tuple(event for event in proved if event.pcr == POLICY_PCR)
    authorities = tuple(_authority_events(policy))
    configured = _configured(policy, bank)
    secure_boot = _secure_boot(configured)
    revoked = _dbx(configured)
    return BootFacts(
        secure_boot=secure_boot[1] if secure_boot else None,
        secure_boot_event=secure_boot[0] if secure_boot else None,
        authorities=tuple(_authorities(authorities, bank)),
        shim_validation_off=any(_says_shim_is_off(variable) for _, variable in authorities),
        dbx_read=revoked is not None,
        dbx_images=image_digests(revoked or ()),
        dbx_certificates=frozenset(hashlib.sha256(entry.data).digest() for entry in certificates(revoked or ())),
        sbat=_sbat(authorities, bank),
        images=tuple(event for event in proved if event.reported_type in IMAGE_TYPES),
        texts=(*_texts(proved, bank), *_guessed(proved, bank, untrusted_command_line)),
        startup_locality=startup_locality(log) if log is not None else 0,
        first_step=tuple(_first_step(proved)),
        source=boot_source(proved, bank),
    )


def _vouched(event: Event, bank: HashAlg) -> bool:
    return event.digests.get(bank) == bank.digest(event.data)


def _authority_vouched(event: Event, variable: Variable, bank: HashAlg) -> bool:
    """As above; shim before 15.3 logged bytes past the variable, of which its digest left out the last one."""
    return _vouched(event, bank) or bool(variable.trailing and event.digests.get(bank) == bank.digest(event.data[:-1]))


def _variable(event: Event) -> Variable | None:
    try:
        return decode_variable(event.data, slack=SHIM_SLACK)
    except DecodeError:
        return None


def _configured(events: Iterable[Event], bank: HashAlg) -> dict[str, tuple[int, bytes]]:
    """The policy variables that verified events hold: name to event and value, the first of a name."""
    found: dict[str, tuple[int, bytes]] = {}
    for event in events:
        if event.reported_type == EventType.EFI_VARIABLE_DRIVER_CONFIG and _vouched(event, bank):
            variable = _variable(event)
            if variable is not None:
                found.setdefault(variable.name, (event.index, variable.data))
    return found


def _secure_boot(configured: Mapping[str, tuple[int, bytes]]) -> tuple[int, bool] | None:
    """The event and whether Secure Boot is on; an empty variable means that it is off; UEFI 2.10, 32.3."""
    found = configured.get("SecureBoot")
    if found is None or found[1] not in (b"", b"\0", b"\1"):
        return None
    return found[0], found[1] == b"\1"


def _dbx(configured: Mapping[str, tuple[int, bytes]]) -> tuple[SignatureList, ...] | None:
    """The machine's own list of what must not run; None where no verified event holds a readable one."""
    found = configured.get("dbx")
    try:
        return decode_signature_lists(found[1]) if found else None
    except DecodeError:
        return None


def _authority_events(events: Iterable[Event]) -> Iterator[tuple[Event, Variable]]:
    """The events that say which authority let something run, with the variable that each holds."""
    for event in events:
        variable = _variable(event) if event.reported_type == EventType.EFI_VARIABLE_AUTHORITY else None
        if variable is not None:
            yield event, variable


def _authorities(events: Iterable[tuple[Event, Variable]], bank: HashAlg) -> Iterator[Authority]:
    for event, variable in events:
        if variable.name == "SbatLevel":
            continue
        vouched = _authority_vouched(event, variable, bank)
        yield Authority(
            event=event.index,
            variable=variable.name,
            vouched=vouched,
            fingerprint=_fingerprint(variable.data) if vouched else None,
        )


def _says_shim_is_off(variable: Variable) -> bool:
    """Shim was told not to verify (MokSBState is 1), or the variable says something that cannot be read as 0."""
    return variable.name == SHIM_STATE and variable.data != b"\0"


def _fingerprint(data: bytes) -> bytes | None:
    try:
        authority = decode_authority(data)
    except DecodeError:
        return None
    return hashlib.sha256(authority.data).digest() if authority.kind is SignatureKind.X509 else None


def _sbat(events: Iterable[tuple[Event, Variable]], bank: HashAlg) -> dict[str, int] | None:
    for event, variable in events:
        if variable.name != "SbatLevel" or not _vouched(event, bank):
            continue
        try:
            return {entry.component: entry.generation for entry in decode_sbat(variable.data).entries}
        except DecodeError:
            return None
    return None


def _texts(events: Iterable[Event], bank: HashAlg) -> Iterator[MeasuredText]:
    for event in events:
        if event.reported_type != IPL:
            continue
        command = _command(event, bank)
        if command is not None:
            yield command
        elif event.pcr in UTF16_COMMAND_PCRS and len(event.data) % 2 == 0 and _vouched(event, bank):
            text = event.data.decode("utf-16-le", "surrogatepass").rstrip("\0")
            yield MeasuredText(event=event.index, pcr=event.pcr, kind="kernel_cmdline", text=text)


def _command(event: Event, bank: HashAlg) -> MeasuredText | None:
    """A command that GRUB measured: the digest covers its text, in an older form with a terminator."""
    said = decode_command(event.data) if event.pcr == COMMAND_PCR else None
    kind = COMMANDS.get(said[0]) if said is not None else None
    if said is None or kind is None:
        return None
    payload, digest, hashed = said[1], event.digests.get(bank), CONSTRUCTORS[bank]
    if digest != hashed(payload).digest() and digest != hashed(payload + b"\0").digest():
        return None
    text = payload.decode("utf-8", "surrogateescape")
    return MeasuredText(event=event.index, pcr=event.pcr, kind=kind, text=text)


def _guessed(events: Iterable[Event], bank: HashAlg, guess: str | None) -> Iterator[MeasuredText]:
    """The command line where only its digest was measured, if the guess has that digest.

    Linux's EFI stub measures its load options as UTF-16 with the terminator into PCR 9 (drivers/firmware/efi/libstub),
    systemd-stub the .cmdline section as it stands into PCR 11 (systemd-stub(7)).
    """
    if guess is None:
        return
    text = guess.encode("utf-8", "surrogateescape")
    options = guess.encode("utf-16-le", "surrogatepass") + b"\0\0"
    digests = {9: {bank.digest(options)}, 11: {bank.digest(text), bank.digest(text + b"\0")}}
    for event in events:
        if event.digests.get(bank) in digests.get(event.pcr, ()):
            yield MeasuredText(event=event.index, pcr=event.pcr, kind="kernel_cmdline", text=guess)


def _first_step(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        if event.pcr == 0 and event.reported_type in FIRST_STEP_TYPES:
            yield event.data.rstrip(b"\0").decode("ascii", "backslashreplace")
