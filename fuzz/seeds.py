"""Seeds: recorded evidence of `tests/vectors` and the parts of its boot logs; what does not decode is passed over."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bartizan.errors import DecodeError
from bartizan.formats.event_data import DECODERS, decode_loaded_image
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.uefi import SHIM_SLACK, decode_variable
from bartizan.model.boot_log import Event
from bartizan.model.uefi import Variable

VECTORS = Path(__file__).parents[1] / "tests" / "vectors"
MOST = 200
"""Seeds of one target; the smallest are kept, which the fuzzer grows by itself."""
LARGEST = 65_536
"""Bytes of one seed."""

IMAGE_NUMBERS = 32
"""Bytes before the device path in UEFI_IMAGE_LOAD_EVENT."""

Seeds = Callable[[], Iterable[bytes]]


def files(*patterns: str) -> Seeds:
    """The files below `tests/vectors` that match a pattern."""

    def found() -> Iterator[bytes]:
        for path in {path for pattern in patterns for path in VECTORS.glob(pattern)}:
            if path.is_file() and path.stat().st_size <= LARGEST:
                yield path.read_bytes()

    return found


LOGS = files("boots/*/bios_at_quote.bin", "boot_logs/**/*.bin")


@cache
def recorded_events() -> tuple[Event, ...]:
    """The events of every recorded boot log."""
    events: list[Event] = []
    for raw in LOGS():
        with contextlib.suppress(DecodeError):
            events += decode_boot_log(raw).events
    return tuple(events)


def event_data(decoder: Callable[[bytes], object]) -> Seeds:
    """The data of events whose label has this decoder."""
    labels = {label for label, decoders in DECODERS.items() if decoder in decoders}
    return lambda: (event.data for event in recorded_events() if event.reported_type in labels)


def labelled_events() -> Iterator[bytes]:
    """A byte for the label, as in `targets.event`, and the event's data."""
    labels = list(DECODERS)
    for event in recorded_events():
        if event.reported_type in labels:
            yield bytes([labels.index(event.reported_type)]) + event.data


@cache
def recorded_variables() -> tuple[Variable, ...]:
    """Every UEFI variable that a recorded boot log holds."""
    variables = []
    for event in recorded_events():
        with contextlib.suppress(DecodeError):
            variables.append(decode_variable(event.data, slack=SHIM_SLACK))
    return tuple(variables)


def variables(*names: str) -> Seeds:
    """The data of measured variables whose name starts with one of these."""
    return lambda: (variable.data for variable in recorded_variables() if variable.name.startswith(names))


def device_paths() -> Iterator[bytes]:
    """What stands behind the four numbers of an image load event."""
    return (raw[IMAGE_NUMBERS:] for raw in event_data(decode_loaded_image)())


def credentials() -> Iterator[bytes]:
    """Recorded credentials as `targets.credential` takes them."""
    for blob in VECTORS.glob("credential/*.cred_blob"):
        id_object = blob.read_bytes()
        yield bytes([len(id_object)]) + id_object + blob.with_suffix(".enc_secret").read_bytes()


def public_keys() -> Iterator[bytes]:
    """A key in each form that an operator may have it in."""
    yield from files("**/*.pub")()
    key = ec.derive_private_key(20, ec.SECP256R1()).public_key()
    for encoding in (Encoding.PEM, Encoding.DER):
        yield key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def chosen(seeds: Seeds) -> list[bytes]:
    """The seeds of a target: each once, the smallest first."""
    return sorted({raw for raw in seeds() if len(raw) <= LARGEST}, key=lambda raw: (len(raw), raw))[:MOST]
