"""Replay of a boot log: the PCR values that its events lead to. It compares nothing with a TPM."""

from collections.abc import Iterable

from bartizan.model.boot_log import NO_ACTION, BootLog, Event, EventType
from bartizan.model.digest import CONSTRUCTORS, HashAlg

STARTUP_LOCALITY = b"StartupLocality\0"
STARTUP_LOCALITIES = (0, 3, 4)
"""Localities a TPM can be started from; PFP 1.06, 10.4.5.3."""
H_CRTM_LOCALITY = 4


def startup_event(log: BootLog) -> Event | None:
    """The StartupLocality event that counts: the first one, and only before anything extends PCR 0."""
    for event in log.events:
        if event.reported_type != NO_ACTION:
            if event.pcr == 0:
                return None
        elif event.pcr == 0 and is_startup_locality(event):
            return event
    return None


def is_startup_locality(event: Event) -> bool:
    """It has the form of a StartupLocality event with a locality that exists."""
    data = event.data
    well_formed = len(data) == len(STARTUP_LOCALITY) + 1 and data.startswith(STARTUP_LOCALITY)
    return well_formed and data[-1] in STARTUP_LOCALITIES


def startup_locality(log: BootLog) -> int:
    """The locality that PCR 0 started from; 4 when a hardware CRTM extended it first. PFP 1.06, 3.3.2."""
    event = startup_event(log)
    if event is not None:
        return event.data[-1]
    first = next((e for e in log.events if e.pcr == 0 and e.reported_type != NO_ACTION), None)
    hardware = first is not None and first.reported_type == EventType.EFI_HCRTM_EVENT
    return H_CRTM_LOCALITY if hardware else 0


def replay(log: BootLog, alg: HashAlg) -> dict[int, bytes]:
    """PCR index to value for each PCR that an event of the log extends in this bank; TPM 2.0 Part 1, 17.2.

    PCR 17–22 start at zero here: only a dynamic launch lets events into them.
    """
    zero = bytes(alg.size)
    values = {0: bytes(alg.size - 1) + bytes([startup_locality(log)])}
    hashed = CONSTRUCTORS[alg]
    touched: set[int] = set()
    for event in log.events:
        digest = event.digests.get(alg)
        if digest is None or event.reported_type == NO_ACTION:
            continue
        values[event.pcr] = hashed(values.get(event.pcr, zero) + digest).digest()
        touched.add(event.pcr)
    return {pcr: values[pcr] for pcr in sorted(touched)}


def extending(log: BootLog) -> Iterable[Event]:
    """The events that extend a PCR, in order."""
    return (event for event in log.events if event.reported_type != NO_ACTION)
