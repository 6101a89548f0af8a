"""Crypto-agile boot logs written from the model: for logs that Bartizan makes itself, such as a dynamic launch's.

TCG PC Client Platform Firmware Profile 1.06, 10.2.2 and 10.4.5.1. `tcg_log` reads back what is written here.
"""

from struct import pack

from bartizan.formats.tcg_log import SPEC_ID
from bartizan.model.boot_log import BootLog, Event, EventType
from bartizan.model.digest import SIZES

UINTN_64_BIT = 2
SPEC_VERSION = (0, 2, 0)
"""Minor, major and errata of the log's specification, as the profile sets them."""


def encode_agile_log(log: BootLog) -> bytes:
    """The log with its Spec ID header, without padding; a digest that an event lacks is left out.

    Raises:
        KeyError: a bank whose digest size is not known.
    """
    minor, major, errata = SPEC_VERSION
    sizes = b"".join(pack("<HH", alg, SIZES[alg]) for alg in log.algorithms)
    spec = SPEC_ID + pack("<IBBBBI", 0, minor, major, errata, UINTN_64_BIT, len(log.algorithms)) + sizes + b"\0"
    header = pack("<II20sI", 0, EventType.NO_ACTION, bytes(20), len(spec)) + spec
    return header + b"".join(_event(event, log.algorithms) for event in log.events)


def _event(event: Event, algorithms: tuple[int, ...]) -> bytes:
    digests = [(alg, event.digests[alg]) for alg in algorithms if alg in event.digests]
    encoded = pack("<III", event.pcr, event.reported_type, len(digests))
    encoded += b"".join(pack("<H", alg) + digest for alg, digest in digests)
    return encoded + pack("<I", len(event.data)) + event.data
