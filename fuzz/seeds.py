"""Seeds: recorded evidence of `tests/vectors` and the parts of its boot logs; what does not decode is passed over."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from struct import pack

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bartizan.errors import DecodeError
from bartizan.formats.event_data import DECODERS, decode_loaded_image
from bartizan.formats.jws import decode_jws
from bartizan.formats.reference_file import encode_reference
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.uefi import SHIM_SLACK, decode_variable
from bartizan.model.boot_log import Event
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet
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


LOGS = files("boots/*/bios_at_quote.bin", "boot_logs/*_*/*")


def scripts() -> Iterator[bytes]:
    """GRUB's scripts, as they ship and with what else the language has."""
    yield resources("bartizan.data").joinpath("grub", "debian.cfg").read_bytes()
    yield b"function f {\n! a; }\nmenuentry 'x' --id \"$y\" { linux /k ${z}\\ b # c\n}\nsubmenu s { if t; then u; fi }"


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


def signatures() -> Iterator[bytes]:
    """Signatures as TPMs write them, and one pair of numbers in DER."""
    yield from files("**/*.sig")()
    yield encode_dss_signature(20, 2**255 + 20)


def executables() -> Iterator[bytes]:
    """The smallest PE32+ file with one section."""
    body = b"the section".ljust(512, b"\0")
    optional = pack("<H", 0x20B).ljust(60, b"\0") + pack("<I", 512) + bytes(44) + pack("<I", 16) + bytes(16 * 8)
    coff = pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22)
    section = b".text".ljust(8, b"\0") + pack("<IIII", len(body), 4096, len(body), 512) + bytes(16)
    headers = b"MZ".ljust(60, b"\0") + pack("<I", 64) + b"PE\0\0" + coff + optional + section
    yield headers.ljust(512, b"\0") + body


def references() -> Iterator[bytes]:
    """A small set of Reference Values."""
    event = ReferenceEvent(pcr=4, digests={HashAlg.SHA256: bytes(32)}, label="a loader")
    file = ReferenceFile(path=b"/usr/bin/cat", alg="sha256", digest=bytes(32))
    yield encode_reference(ReferenceSet(name="a", source="a boot", events=(event,), files=(file,), digest=""))


def txt_containers() -> Iterator[bytes]:
    """TPM 1.2's container of a dynamic launch with two events."""
    events = pack("<II20sI", 17, 0x402, b"\x11" * 20, 4) + bytes(4) + pack("<II20sI", 18, 0x501, b"\x22" * 20, 0)
    yield pack("<20s12s4BIII", b"TXT Event Container", b"", 1, 0, 1, 0, 256, 48, 48 + len(events)) + events + bytes(256)


def txt_heaps() -> Iterator[bytes]:
    """Heaps of TXT with such a container, and with a recorded log of a launch."""
    pointer = pack("<IIQIII", 8, 28, 0x7F000000, 8192, 0, 0) + pack("<II", 0, 8)
    for log in (*txt_containers(), *files("boot_logs/*/*txt-logs.bin")()):
        tables = (bytes(36), log[:4096], pack("<II9QIQ", 7, 0, *range(9), 0, 0) + pointer, bytes(140))
        yield b"".join(pack("<Q", 8 + len(table)) + table for table in tables)


def results() -> Iterator[bytes]:
    """The claims of recorded Attestation Results."""
    for raw in files("ear/*.jwt")():
        with contextlib.suppress(DecodeError):
            yield decode_jws(raw).payload


def chosen(seeds: Seeds) -> list[bytes]:
    """The seeds of a target: each once, the smallest first."""
    return sorted({raw for raw in seeds() if len(raw) <= LARGEST}, key=lambda raw: (len(raw), raw))[:MOST]
