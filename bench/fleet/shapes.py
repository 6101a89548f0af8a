"""What nodes of one boot have in common: logs, PCR values, and all bytes of their evidence that no nonce changes.

A fleet that runs one image shares them, so that a node costs the simulator a key and a few numbers. What a TPM signs is
put together here by hand; that it equals what the tests' attester sends is a test of its own.
"""

from dataclasses import dataclass, field, replace
from struct import Struct
from struct import pack as packed

from bartizan.formats.cbor import encode_cbor
from bartizan.formats.tcg_log_writer import encode_agile_log
from bartizan.model.digest import PCR_COUNT
from tests.simulator.live_boot import LiveBoot, live
from tests.simulator.machine import file_line
from tests.simulator.quotes import pcr_digest

FIRMWARE = 0x0001_0002_0003_0004
BITMAP = b"\3\xff\xff\xff"
"""Of a selection of all 24 PCRs: its size, and a bit for each."""
TEXT, MAP = 0x60, 0xA0
"""CBOR's major types; everything here is shorter than 24."""
MOMENT = Struct(">QII?")
"""TPMS_CLOCK_INFO; Part 2, 10.11.1."""
VERSION = 1
AGENT = "fleet simulator"


def named(name: str, value: object) -> bytes:
    """One member of a CBOR map."""
    return bytes([TEXT + len(name)]) + name.encode() + encode_cbor(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A boot at one moment: the end of its quotes, and the members of its evidence around what changes.

    resets, restarts, entries: of the TPM and of the IMA list; tail: what follows the clock in a TPMS_ATTEST;
    pcrs, full, agent: members of the evidence.
    """

    resets: int
    restarts: int
    entries: int
    tail: bytes
    pcrs: bytes
    boot: bytes
    whole_list: bytes
    starts: tuple[int, ...] = field(repr=False)
    list_bytes: bytes = field(repr=False)

    def since(self, first: int) -> bytes:
        """The member `ima` with the entries from this one on."""
        return named("ima", {"first": first, "entries": self.list_bytes[self.starts[first] :]})


def shape_of(boot: LiveBoot, count: int) -> Shape:
    """The shape of a boot that has measured so many files."""
    values = boot.pcrs(count)
    selections = packed(">I", len(values)) + b"".join(packed(">H", bank) + BITMAP for bank in values)
    digest = pcr_digest(values)
    starts = [0]
    for entry in boot.entries[:count]:
        starts.append(starts[-1] + len(entry.raw))
    some = boot.list_bytes(0, count)
    return Shape(
        resets=boot.resets,
        restarts=boot.restarts,
        entries=count,
        tail=packed(">Q", FIRMWARE) + selections + packed(">H", len(digest)) + digest,
        pcrs=named("pcrs", {int(b): b"".join(v[pcr] for pcr in range(PCR_COUNT)) for b, v in values.items()}),
        boot=named("boot", {} if boot.log is None else {"boot_log": encode_agile_log(boot.log)}),
        whole_list=named("ima", {"first": 0, "entries": some}),
        starts=tuple(starts),
        list_bytes=some,
    )


def update_files(count: int) -> list[tuple[bytes, bytes]]:
    """What an update brings: paths and contents of so many files that no node has run before, the same for all."""
    return [(b"/opt/update/%d" % number, b"%d" % number) for number in range(count)]


@dataclass(slots=True)
class Shapes:
    """All moments that the fleet is in, each made once. new: entries that an update adds to the recorded list."""

    boot: LiveBoot
    measured: int
    _made: dict[tuple[int, int], Shape] = field(default_factory=dict)

    @classmethod
    def recorded(cls, new: int) -> "Shapes":
        """The recorded boot `good`, and an update that it may run."""
        boot = live("good")
        return cls(boot.running(*(file_line(*one) for one in update_files(new))), len(boot.entries))

    def at(self, *, resets: int, count: int) -> Shape:
        """The shape after so many more resets, with so many entries measured."""
        found = self._made.get((resets, count))
        if found is None:
            found = shape_of(replace(self.boot, resets=self.boot.resets + resets), count)
            self._made[resets, count] = found
        return found

    @property
    def first(self) -> Shape:
        """Where every node begins."""
        return self.at(resets=0, count=self.measured)

    @property
    def updated(self) -> int:
        """How many entries there are after the update."""
        return len(self.boot.entries)
