"""Starts of an emulated machine: the static one after power-on, and a dynamic launch later.

It plays firmware, CPU, authenticated code module and measured launch environment against a running swtpm, and reports
what it measured as boot log events. It writes no log and judges none.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bartizan.collect.tpm import Tpm
from bartizan.connectors.swtpm.control import Control
from bartizan.model.boot_log import Event, EventType
from bartizan.model.digest import HashAlg

LAUNCH_PCR = 17
"""Where the hash sequence goes: the D-CRTM PCR; TCG PC Client Platform TPM Profile 1.05, 4.6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Something to extend: from which locality, into which PCR, as what kind of event; the digest is that of `data`."""

    locality: int
    pcr: int
    event_type: int
    data: bytes


@contextmanager
def _locality(control: Control, locality: int) -> Iterator[None]:
    control.set_locality(locality)
    try:
        yield
    finally:
        control.set_locality(0)


def power_on(control: Control, tpm: Tpm, *, locality: int = 0, h_crtm: bytes | None = None) -> None:
    """Power off and on, and TPM2_Startup(CLEAR) as firmware would send it.

    locality: 0 or 3, the value PCR 0 then starts with; h_crtm: what the CPU measures before Startup, so that PCR 0
    starts with 4 and is extended with its digest. TPM 2.0 Part 3, 9.3 and 22.9. A running TPM loses power as if the
    plug were pulled, and its clock is no longer `safe`, unless `tpm.shutdown()` came before.
    """
    control.reset()
    if h_crtm is not None:
        control.hash_sequence(h_crtm)
    with _locality(control, locality):
        tpm.startup()


def dynamic_launch(
    control: Control, tpm: Tpm, *, module: bytes, measurements: Iterable[Measurement]
) -> tuple[Event, ...]:
    """A dynamic launch on a running machine, as events in order; the first is the hash sequence over `module`.

    PCRs 17 to 22 go from all ones to zero, PCR 17 takes H(module) in every active bank, then the measurements follow.
    The events' `offset` is 0, as no log has been written yet.

    Raises:
        TpmError: a measurement names a PCR that its locality must not extend.
    """
    banks = [HashAlg(alg) for alg in tpm.banks()]
    control.hash_sequence(module)
    start = Measurement(locality=4, pcr=LAUNCH_PCR, event_type=EventType.TXT_HASH_START, data=b"")
    events = [_event(0, start, digests=_digests(banks, module))]
    for index, measurement in enumerate(measurements, start=1):
        event = _event(index, measurement, digests=_digests(banks, measurement.data))
        with _locality(control, measurement.locality):
            tpm.pcr_extend(event.pcr, event.digests)
        events.append(event)
    return tuple(events)


def _digests(banks: Iterable[HashAlg], content: bytes) -> dict[int, bytes]:
    return {alg: alg.digest(content) for alg in banks}


def _event(index: int, measurement: Measurement, *, digests: dict[int, bytes]) -> Event:
    return Event(
        index=index,
        offset=0,
        pcr=measurement.pcr,
        reported_type=measurement.event_type,
        digests=digests,
        data=measurement.data,
    )
