"""Recorded boots that ship with the package, and boots derived from them. What is derived says so in its story."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files

from bartizan.formats.ima import decode_ima
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.uefi import decode_variable
from bartizan.model.boot_log import FILE_PCR, IMAGE_PCR, POLICY_PCR, BootLog, Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.model.ima import ImaEntry, ImaList
from bartizan.verify.replay import replay

SIZED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One boot to replay: its log and its IMA list."""

    log: BootLog
    ima: ImaList


def recorded(name: str) -> Boot:
    """A boot recorded on a real measured machine (see data/recordings/README.md)."""
    folder = files("bartizan.data").joinpath("recordings", name)
    return Boot(
        log=decode_boot_log(folder.joinpath("bios_at_quote.bin").read_bytes()),
        ima=decode_ima(folder.joinpath("ima_at_quote.bin").read_bytes()),
    )


def with_new_kernel(boot: Boot, *, image: bytes) -> Boot:
    """The boot as it would be with another kernel: its image in PCR 4 and its file in PCR 9 have other digests."""

    def change(event: Event) -> Event:
        without_path = (
            event.reported_type == EventType.EFI_BOOT_SERVICES_APPLICATION and len(event.data) == KERNEL_EVENT
        )
        if (event.pcr == IMAGE_PCR and without_path) or (event.pcr == FILE_PCR and event.data.startswith(b"/vmlinuz")):
            return replace(event, digests=digests_of(event, image + bytes([event.pcr])))
        return event

    return _changed(boot, change)


KERNEL_EVENT = 32
"""Bytes of an image load event without a device path, as GRUB's and the firmware's loads of the kernel leave it."""


def without_secure_boot(boot: Boot) -> Boot:
    """The boot as it would be with Secure Boot off: the variable is 0, and no authority vouches for anything."""

    def change(event: Event) -> Event:
        if (
            event.reported_type == EventType.EFI_VARIABLE_DRIVER_CONFIG
            and decode_variable(event.data).name == "SecureBoot"
        ):
            data = event.data[:-1] + b"\0"
            return replace(event, data=data, digests=digests_of(event, data))
        return event

    kept = [event for event in boot.log.events if event.reported_type != EventType.EFI_VARIABLE_AUTHORITY]
    return _changed(replace(boot, log=replace(boot.log, events=tuple(kept))), change)


def relabelled(bad: Boot, good: Boot) -> Boot:
    """A forged log: the bad boot's PCR 7 events called actions, the good boot's appended, so that it still replays."""
    policy = [event for event in good.log.events if event.pcr == POLICY_PCR]
    hidden = [
        replace(event, reported_type=EventType.EFI_ACTION) if event.pcr == POLICY_PCR else event
        for event in bad.log.events
    ]
    events = tuple(replace(event, index=index) for index, event in enumerate([*hidden, *policy]))
    return aggregated(replace(bad, log=replace(bad.log, events=events)))


def digests_of(event: Event, content: bytes) -> dict[int, bytes]:
    """The content's digests in the banks of this event."""
    return {alg: HashAlg(alg).digest(content) for alg in event.digests}


def _changed(boot: Boot, change: Callable[[Event], Event]) -> Boot:
    events = tuple(change(event) for event in boot.log.events)
    return aggregated(replace(boot, log=replace(boot.log, events=events)))


def aggregated(boot: Boot) -> Boot:
    """The boot with the boot_aggregate that its kernel would compute: SHA-256 over PCR 0–9."""
    values = replay(boot.log, HashAlg.SHA256)
    digest = HashAlg.SHA256.digest(b"".join(values.get(pcr, bytes(32)) for pcr in range(10)))
    first = boot.ima.entries[0]
    return replace(boot, ima=replace(boot.ima, entries=(_aggregate(first, digest), *boot.ima.entries[1:])))


def _aggregate(entry: ImaEntry, digest: bytes) -> ImaEntry:
    fields = (b"sha256:\0" + digest, entry.path + b"\0")
    data = b"".join(len(field).to_bytes(SIZED, "little") + field for field in fields)
    return replace(entry, digest=digest, template_data=data, reported_template_digest=HashAlg.SHA1.digest(data))
