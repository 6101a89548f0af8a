"""Cases of the boot log, its rules, and a dynamic launch. Not a test."""

from collections.abc import Callable
from dataclasses import replace

from bartizan.appraise.context import ReferenceIndex, index_reference
from bartizan.model.boot_log import BootLog, EventType, LogFormat
from bartizan.model.digest import HashAlg
from bartizan.model.result import AttestationResult, Tier
from tests.simulator.machine import CHALLENGE, Machine, agile, attested, good, judged, measured, reference_set
from tests.unit.appraise_cases import ANYTHING, Case, Cases, forged, of, place_of, relabelled

KERNEL, ACTION_IN_4, GRUB = 40, 13, 29
SECURE_BOOT, PK, KEK = 3, 4, 5
SEPARATOR_OF_0 = place_of(pcr=0, kind=EventType.SEPARATOR)
BOOT_ORDER = place_of(pcr=1)
GPT = place_of(pcr=5, kind=EventType.EFI_GPT_EVENT)
ZEROS = bytes(4)
FROM_LOCALITY_3 = measured(0, EventType.NO_ACTION, b"StartupLocality\0\3", of=b"")


def without_log() -> AttestationResult:
    return attested(replace(good().evidence(), boot_log=None)).result


def sent_as(index: int, **changes: object) -> Callable[[], AttestationResult]:
    """An event described otherwise than it was measured."""
    return lambda: attested(relabelled(good(), index, **changes)).result


def left_out(*indices: int) -> Callable[[], AttestationResult]:
    """A log without some events."""
    return lambda: attested(forged(good().evidence(), good().without_event(*indices).events)).result


def another_digest(alg: HashAlg) -> Callable[[], AttestationResult]:
    """A log in which one bank's digest of one event is another."""
    held = good().events[KERNEL].digests
    return sent_as(KERNEL, digests={**held, alg: alg.digest(b"another")})


def sha1_only() -> AttestationResult:
    """A machine whose firmware fills the SHA-1 bank alone."""
    machine = replace(
        good(),
        events=tuple(replace(event, digests={HashAlg.SHA1: event.digests[HashAlg.SHA1]}) for event in good().events),
    )
    log = BootLog(format=LogFormat.SHA1, algorithms=(HashAlg.SHA1,), events=machine.events)
    evidence = replace(machine.evidence(), boot_log=log)
    return attested(evidence, challenge=replace(CHALLENGE, pinned=HashAlg.SHA1)).result


LAUNCH = (
    measured(17, EventType.TXT_HASH_START, b"module"),
    measured(18, EventType.TXT_MLE_HASH, b"kernel"),
    measured(19, EventType.TBOOT_MODULE, b"initramfs"),
)
LAUNCHED = replace(good(), launch=LAUNCH)


def launched_reference() -> ReferenceIndex:
    """Reference Values of the machine with its dynamic launch."""
    return index_reference(reference_set(LAUNCHED))


def launch_log(log: BootLog | None) -> Callable[[], AttestationResult]:
    """The launched machine with another launch log."""
    return lambda: attested(replace(LAUNCHED.evidence(), launch_log=log)).result


def both_logs() -> AttestationResult:
    """A machine with Secure Boot off, whose launch log holds what booted and whose boot log a better story."""
    off = good().with_event(SECURE_BOOT, data=good().events[SECURE_BOOT].data[:-1] + b"\0").without_event(21, 28)
    truth = [event for event in off.events if event.pcr == 7]
    story = [event for event in off.events if event.pcr != 7] + [event for event in good().events if event.pcr == 7]
    return attested(replace(off.evidence(), boot_log=agile(story), launch_log=agile(truth))).result


def swapped(first: int, second: int) -> Machine:
    """The machine on which two events came in the other order."""
    events = list(good().events)
    events[first], events[second] = events[second], events[first]
    return replace(good(), events=agile(events).events)


UNRECOGNISED_4 = frozenset({"recognised.loader", "recognised.boot-path"})

CASES: Cases = {
    "no boot log": Case(
        check="boot.log-present",
        tier=Tier.NONE,
        level=1,
        also=ANYTHING,
        result=without_log,
        says="no boot log came",
    ),
    "PCRs that nothing explains": Case(
        check="boot.pcr-explained",
        tier=Tier.NONE,
        level=1,
        also=ANYTHING,
        count=11,
        at=(0, None, None),
        result=without_log,
        says="it was extended, and the log has no event for it",
    ),
    "a log with one digest changed": Case(
        check="boot.pcr-explained",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(4, None, None),
        result=another_digest(HashAlg.SHA256),
        says="its 6 events lead to another value",
        also=frozenset({"secure-boot.revoked", "secure-boot.revocation-data", "platform.boot-source", *UNRECOGNISED_4}),
    ),
    "a log with one event left out": Case(
        check="boot.pcr-explained",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(8, None, None),
        result=left_out(37),
        says="PCR 8 is not explained",
        also=ANYTHING,
    ),
    "a log without the events of one PCR": Case(
        check="boot.pcr-explained",
        tier=Tier.NONE,
        level=1,
        at=(14, None, None),
        result=left_out(24, 25, 27),
        says="the log has no event for it",
        also=frozenset({"boot.other-bank", "recognised.owner-keys"}),
    ),
    "a bank beside the pinned one that does not replay": Case(
        check="boot.other-bank",
        tier=Tier.WARNING,
        level=4,
        result=another_digest(HashAlg.SHA1),
        says="the sha1 bank, which does not decide, is not explained in PCR 4",
    ),
    "a configuration variable whose data was changed": Case(
        check="boot.digest",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(7, PK, None),
        says="the data was changed",
        result=sent_as(PK, data=good().events[PK].data[:-1] + b"\xee"),
    ),
    "a boot variable whose data was changed": Case(
        check="boot.digest",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(1, BOOT_ORDER, None),
        says="the data was changed",
        result=sent_as(BOOT_ORDER, data=good().events[BOOT_ORDER].data[:-1] + b"\xee"),
    ),
    "a partition table whose data was changed": Case(
        check="boot.digest",
        tier=Tier.WARNING,
        level=4,
        at=(5, GPT, None),
        says="the data was changed",
        result=sent_as(GPT, data=good().events[GPT].data[:-1] + b"\xee"),
    ),
    "a PCR that was closed twice": Case(
        check="boot.separator",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(2, 48, None),
        says="PCR 2 has a second separator",
        result=of(good().appended(measured(2, EventType.SEPARATOR, ZEROS))),
    ),
    "a firmware that reports an error": Case(
        check="boot.separator",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(0, SEPARATOR_OF_0, None),
        says="the firmware reports an error",
        also=frozenset({"recognised.firmware"}),
        result=of(good().with_event(SEPARATOR_OF_0, data=b"\1\0\0\0")),
    ),
    "a separator under another name in PCR 7": Case(
        check="boot.look-alike",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(7, 29, None),
        says="the digest of a separator",
        result=of(good().inserted(29, measured(7, EventType.EFI_VARIABLE_AUTHORITY, b"db", of=ZEROS))),
        also=frozenset({"secure-boot.authorities", "recognised.secure-boot"}),
    ),
    "a separator under another name in PCR 0": Case(
        check="boot.look-alike",
        tier=Tier.WARNING,
        level=2,
        at=(0, 3, None),
        says="this decides nothing",
        result=of(good().inserted(3, measured(0, EventType.POST_CODE, b"ACPI", of=ZEROS))),
        also=frozenset({"recognised.firmware"}),
    ),
    "Secure Boot variables in another order": Case(
        check="boot.order",
        tier=Tier.CONTRAINDICATED,
        level=1,
        count=1,
        at=(7, PK, None),
        says="not measured in the order",
        result=of(swapped(PK, KEK)),
        also=ANYTHING,
    ),
    "a loader that ran after the operating system took over": Case(
        check="boot.after-exit",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(4, 48, None),
        says="after the operating system",
        result=of(good().appended(good().events[GRUB])),
        also=frozenset({"recognised.boot-path"}),
    ),
    "a second word on who started the TPM": Case(
        check="boot.locality",
        tier=Tier.WARNING,
        level=4,
        at=(0, 48, None),
        says="is ignored",
        result=of(good().appended(FROM_LOCALITY_3)),
    ),
    "a boot in the SHA-1 bank alone": Case(
        check="boot.strength",
        tier=Tier.WARNING,
        level=2,
        also=ANYTHING,
        result=sha1_only,
        says="SHA-1 bank only",
    ),
    "a launch that its log explains": Case(
        check="launch.explained",
        tier=Tier.AFFIRMING,
        level=4,
        result=of(LAUNCHED),
        says="its log explains PCR 17–22",
        also=frozenset({"recognised.launch"}),
    ),
    "a launch without a log": Case(
        check="launch.explained",
        tier=Tier.NONE,
        level=1,
        count=3,
        at=(17, None, None),
        result=launch_log(None),
        says="no log explains it",
        also=frozenset({"boot.other-bank"}),
    ),
    "a launch log of another launch": Case(
        check="launch.explained",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(18, None, None),
        result=launch_log(agile((LAUNCH[0], measured(18, EventType.TXT_MLE_HASH, b"other"), LAUNCH[2]), LogFormat.TXT)),
        says="is not what its log leads to",
        also=frozenset({"boot.other-bank"}),
    ),
    "a launch log that speaks for the boot": Case(
        check="boot.pcr-explained",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(7, None, None),
        result=both_logs,
        says="PCR 7 is not explained",
        also=ANYTHING,
    ),
    "a launch that Reference Values know": Case(
        check="recognised.launch",
        tier=Tier.AFFIRMING,
        level=4,
        says="only known values",
        result=lambda: judged(LAUNCHED, known=launched_reference()),
        also=frozenset({"launch.explained"}),
    ),
    "a launch that no Reference Value knows": Case(
        check="recognised.launch",
        tier=Tier.WARNING,
        level=4,
        count=3,
        at=(17, None, None),
        result=of(LAUNCHED),
        says="in no Reference Value (3 measurements)",
        also=frozenset({"launch.explained"}),
    ),
    "a known launch that did not measure the kernel": Case(
        check="recognised.launch",
        tier=Tier.WARNING,
        level=4,
        count=2,
        at=(18, None, None),
        says="measured nothing into PCR 18",
        also=frozenset({"launch.explained"}),
        result=lambda: judged(replace(good(), launch=LAUNCH[:1]), known=launched_reference()),
    ),
}
